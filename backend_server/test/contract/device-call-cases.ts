import type { Shape } from './documented-shapes.ts'

type Body = Record<string, unknown>

export interface DeviceCallCase {
  /** The path as the web app calls it; the target is added. */
  path: string
  body?: Body
  /** What the host is asked: path and the fields that must arrive there. */
  host: string
  hostMethod?: 'GET'
  arrives?: Body
  /** Fields of the documented answer, beside `success`. */
  shape: Shape
  /** The device that is meant; the browser calls name none. */
  device?: string
}

const area = { x: 1, y: 2, width: 30, height: 40 }
const picture = '/host/stream/capture1/captures/capture_000000001.jpg'
const key = { command: 'press_key', params: { key: 'OK' } }
const device: Shape = { device_id: 'string' }
const web: Shape = { execution_time: 'number' }

/** api-core.md 4: every call with the rank [1] or [2] that is handed on, and those of rank [3] that this server offers. */
export const deviceCallCases: DeviceCallCase[] = [
  {
    path: 'remote/executeCommand',
    body: { ...key, remote_type: 'ir_remote' },
    host: 'remote/executeCommand',
    arrives: { ...key, remote_type: 'ir_remote' },
    shape: { message: 'string', ...device },
  },
  {
    path: 'remote/tapCoordinates',
    body: { x: 10, y: 20 },
    host: 'remote/tapCoordinates',
    arrives: { x: 10, y: 20 },
    shape: { message: 'string', ...device },
  },
  { path: 'remote/takeScreenshot', host: 'remote/takeScreenshot', shape: { screenshot: 'string', ...device } },
  {
    path: 'remote/screenshotAndDump',
    host: 'remote/screenshotAndDump',
    shape: { screenshot: 'string', elements: 'array', ...device },
  },
  { path: 'remote/dumpUi', host: 'remote/dumpUi', shape: { elements: 'array', ...device } },
  { path: 'remote/getApps', host: 'remote/getApps', shape: { apps: 'array', ...device } },
  { path: 'av/takeScreenshot', host: 'av/takeScreenshot', shape: { screenshot_url: 'string', ...device } },
  { path: 'av/getStreamUrl', host: 'av/getStreamUrl', hostMethod: 'GET', shape: { stream_url: 'string', ...device } },
  {
    path: 'av/getSegmentCapture',
    body: { segment_number: 7 },
    host: 'av/getSegmentCapture',
    arrives: { segment_number: 7, fps: 5 },
    shape: { capture_url: 'string', capture_path: 'string', segment_number: 'number', capture_number: 'number' },
  },
  {
    path: 'av/saveScreenshot',
    body: { filename: 'home', userinterface_name: 'tv' },
    host: 'av/saveScreenshot',
    arrives: { filename: 'home', userinterface_name: 'tv' },
    shape: { screenshot_url: 'string', screenshot_path: 'string', ...device },
  },
  { path: 'power/getStatus', host: 'power/getStatus', shape: { status: 'any', ...device } },
  {
    path: 'power/executeCommand',
    body: { command: 'reboot' },
    host: 'power/executeCommand',
    arrives: { command: 'reboot' },
    shape: { message: 'string', ...device },
  },
  {
    path: 'desktop/pyautogui/executeCommand',
    body: { command: 'execute_pyautogui_click', params: { x: 1, y: 1 } },
    host: 'desktop/pyautogui/executeCommand',
    shape: {},
  },
  {
    path: 'system/restartHostStreamService',
    host: 'system/restartHostStreamService',
    arrives: { quality: 'sd' },
    shape: { restarted: 'boolean', quality: 'string', message: 'string', ...device },
  },
  {
    path: 'monitoring/latest-json',
    host: 'monitoring/latest-json',
    shape: { json_data: 'object', filename: 'string', timestamp: 'any' },
  },
  { path: 'monitoring/live-events', host: 'monitoring/live-events', shape: { events: 'array', count: 'number' } },
  {
    path: 'monitoring/listCaptures',
    host: 'monitoring/listCaptures',
    arrives: { limit: 180 },
    shape: { captures: 'array', total: 'number' },
  },
  {
    path: 'verification/image/cropImage',
    body: { area, image_source_url: picture, reference_name: 'logo', userinterface_name: 'tv' },
    host: 'verification/image/cropImage',
    arrives: { area, image_source_url: picture, reference_name: 'logo' },
    shape: {
      message: 'string',
      image_cropped_path: 'string',
      image_cropped_url: 'string',
      filename: 'string',
      area: 'object',
      source_was_url: 'boolean',
    },
  },
  {
    path: 'verification/image/processImage',
    body: { image_source_url: picture, remove_background: false, image_filter: 'greyscale' },
    host: 'verification/image/processImage',
    arrives: { image_filter: 'greyscale', autocrop: false },
    shape: {
      message: 'string',
      image_filtered_path: 'string',
      image_filtered_url: 'string',
      filename: 'string',
      operations: 'object',
    },
  },
  {
    path: 'verification/image/saveImage',
    body: { image_source_url: picture, reference_name: 'logo', userinterface_name: 'tv', area },
    host: 'verification/image/saveImage',
    arrives: { image_source_url: picture, area, userinterface_name: 'tv' },
    shape: { message: 'string', reference_name: 'string', r2_url: 'string', r2_path: 'string', reference_id: 'string' },
  },
  {
    path: 'verification/text/detectText',
    body: { image_source_url: picture, area },
    host: 'verification/text/detectText',
    arrives: { image_source_url: picture, area },
    shape: {
      extracted_text: 'string',
      confidence: 'number',
      language: 'string',
      font_size: 'number',
      image_textdetected_path: 'string',
      image_textdetected_url: 'string',
    },
  },
  {
    path: 'verification/text/saveText',
    body: { text: 'Home', reference_name: 'title', userinterface_name: 'tv', area },
    host: 'verification/text/saveText',
    arrives: { text: 'Home', area },
    shape: { message: 'string', reference_name: 'string', reference_id: 'string', text_data: 'object' },
  },
  {
    path: 'web/executeCommand',
    body: { command: 'click_element', params: { text: 'Start' } },
    host: 'web/executeCommand',
    arrives: { command: 'click_element', params: { text: 'Start' } },
    shape: web,
    device: 'host',
  },
  {
    path: 'web/navigateToUrl',
    body: { url: 'https://example.org', timeout: 5000 },
    host: 'web/navigateToUrl',
    arrives: { url: 'https://example.org', timeout: 5000 },
    shape: web,
    device: 'host',
  },
  {
    path: 'web/openBrowser',
    host: 'web/openBrowser',
    shape: { ...web, connected: 'boolean', current_url: 'string', page_title: 'string' },
    device: 'host',
  },
  { path: 'web/closeBrowser', host: 'web/closeBrowser', shape: web, device: 'host' },
  { path: 'web/getPageInfo', host: 'web/getPageInfo', shape: web, device: 'host' },
  { path: 'web/getStatus', host: 'web/getStatus', shape: { status: 'object' }, device: 'host' },
]
