import {
  avRoutes,
  type DeviceRoute,
  desktopRoutes,
  monitoringRoutes,
  powerRoutes,
  referenceRoutes,
  remoteRoutes,
  webRoutes,
} from '@virtualpytest/shared'

/** One route of the contract that goes to a host as it is. */
export interface ForwardedCall {
  route: DeviceRoute
  method: 'GET' | 'POST'
  /** Path on the host. */
  path: string
  timeoutMs: number
  /** Acts on the browser of the host instead of the device that is named. */
  browser: boolean
}

const post = (route: DeviceRoute, path: string, seconds: number): ForwardedCall => ({
  route,
  method: 'POST',
  path,
  timeoutMs: seconds * 1000,
  browser: false,
})
const get = (route: DeviceRoute, path: string, seconds: number): ForwardedCall => ({
  ...post(route, path, seconds),
  method: 'GET',
})
const web = (route: DeviceRoute, path: string): ForwardedCall => ({ ...post(route, path, 30), browser: true })

/**
 * The allow-list: every call that is handed to a host as it is, and nothing else is. What a request may say, who may send it
 * and what it does to the device stand in the contract; where it goes and how many seconds the host may take stand here.
 */
export const forwardedCalls: readonly ForwardedCall[] = [
  post(remoteRoutes.executeCommand, '/host/remote/executeCommand', 60),
  post(remoteRoutes.tapCoordinates, '/host/remote/tapCoordinates', 60),
  post(remoteRoutes.takeScreenshot, '/host/remote/takeScreenshot', 60),
  post(remoteRoutes.screenshotAndDump, '/host/remote/screenshotAndDump', 60),
  post(remoteRoutes.dumpUi, '/host/remote/dumpUi', 60),
  post(remoteRoutes.getApps, '/host/remote/getApps', 60),

  post(avRoutes.takeScreenshot, '/host/av/takeScreenshot', 60),
  post(avRoutes.saveScreenshot, '/host/av/saveScreenshot', 60),
  get(avRoutes.getStreamUrl, '/host/av/getStreamUrl', 5),
  post(avRoutes.getSegmentCapture, '/host/av/getSegmentCapture', 60),
  post(avRoutes.restartStream, '/host/system/restartHostStreamService', 60),

  post(powerRoutes.getStatus, '/host/power/getStatus', 60),
  post(powerRoutes.executeCommand, '/host/power/executeCommand', 60),

  post(desktopRoutes.bash, '/host/desktop/bash/executeCommand', 60),
  post(desktopRoutes.pyautogui, '/host/desktop/pyautogui/executeCommand', 60),

  web(webRoutes.navigateToUrl, '/host/web/navigateToUrl'),
  web(webRoutes.openBrowser, '/host/web/openBrowser'),
  web(webRoutes.closeBrowser, '/host/web/closeBrowser'),
  web(webRoutes.getPageInfo, '/host/web/getPageInfo'),
  web(webRoutes.getStatus, '/host/web/getStatus'),

  post(monitoringRoutes.latestJson, '/host/monitoring/latest-json', 30),
  post(monitoringRoutes.liveEvents, '/host/monitoring/live-events', 30),
  post(monitoringRoutes.listCaptures, '/host/monitoring/listCaptures', 30),

  post(referenceRoutes.cropImage, '/host/verification/image/cropImage', 60),
  post(referenceRoutes.processImage, '/host/verification/image/processImage', 60),
  post(referenceRoutes.detectText, '/host/verification/text/detectText', 60),
]

const usualPageMs = 30_000
/** What agents accept at most. */
const longestPageMs = 110_000
const reserveMs = 5_000

/** How long the host may take. A page has the time its caller gives it, and the host some more to say that it did not load. */
export function limitOf({ route, timeoutMs }: ForwardedCall, { timeout }: Record<string, unknown>): number {
  if (route !== webRoutes.navigateToUrl) return timeoutMs
  const asked = typeof timeout === 'number' && timeout > 0 ? timeout : usualPageMs
  return Math.max(timeoutMs, Math.min(longestPageMs, asked) + reserveMs)
}
