import path from 'node:path'
import type { Config, DeviceConfig } from './config.ts'
import { createAdbKey, createDriver, type Driver } from './drivers/index.ts'

/** Makes the drivers of the devices that the settings name. All Android devices know this agent by one key. */
export function driversOf(config: Pick<Config, 'dataDir' | 'hostName'>): (device: DeviceConfig) => Driver {
  const key = createAdbKey(path.join(config.dataDir, 'adb'), `virtualpytest@${config.hostName.replace(/[^\w.-]/g, '_')}`)
  return ({ driver, model, ip, port, browserPath }) => {
    const isKnown = model === 'android_mobile' || model === 'android_tv'
    return createDriver(driver, {
      ...(browserPath !== undefined && { chromiumPath: browserPath }),
      ...(isKnown && ip !== undefined && { android: { model, address: { host: ip, port: Number(port) }, key } }),
    })
  }
}
