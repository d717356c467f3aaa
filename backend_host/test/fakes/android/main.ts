/**
 * The simulated Android device as a program, for a try without a phone:
 *   node -C source backend_host/test/fakes/android/main.ts [PORT] [WIDTHxHEIGHT]
 * It allows everybody who asks, so it listens on this machine only.
 */
import process from 'node:process'
import { startAndroid } from './adb-daemon.ts'

const [port = '5555', size = '1280x720'] = process.argv.slice(2)
const [width, height] = size.split('x').map(Number)
const android = await startAndroid({ port: Number(port), ...(width && height && { width, height }) })
process.stdout.write(`Simulated Android device on ${android.host}:${android.port}\n`)
process.on('SIGTERM', () => process.exit(0))
