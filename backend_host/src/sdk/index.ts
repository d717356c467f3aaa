/** What test scripts import as `@virtualpytest/backend-host/sdk`: a client of the run API of the host agent. */

export { type ImageMatch, luminance } from '../vision/find-image.ts'
export type { Area } from '../vision/picture.ts'
export { type RunSettings, runSettings } from './config.ts'
export {
  type CommandResult,
  device,
  type ElementName,
  measure,
  type Screen,
  type ScreenElement,
  screen,
  screenshot,
} from './device.ts'
export { AgentError, CheckError, CommandError, ParameterError } from './failures.ts'
export { type ParamsOf, type ParamValue, params } from './params.ts'
export { run } from './run.ts'
export { type StepOptions, step } from './steps.ts'
export {
  type ImageOptions,
  type WaitOptions,
  waitForImage,
  waitForScreen,
  waitForText,
  waitForTextToDisappear,
} from './wait-for.ts'
