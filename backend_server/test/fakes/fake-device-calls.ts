import { randomUUID } from 'node:crypto'

export interface SeenCall {
  method: string
  path: string
  query: Record<string, string>
  body: Record<string, unknown>
}
export interface GivenAnswer {
  status: number
  body: Record<string, unknown>
}

interface Execution {
  kind: string
  endsAt: number
  startedAt: number
  result: Record<string, unknown>
  /** The word with which this kind says that it has failed. */
  failedWord: 'completed' | 'error'
}

/** The smallest PNG there is: one pixel. */
export const onePixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='

/** A JPEG of one pixel. */
export const onePixelJpeg =
  '/9j/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71////m8H////6/+b9//j/2wBDASstLTw1PHZBQXb4pYyl+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj/wAARCAABAAEDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAX/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFAEBAAAAAAAAAAAAAAAAAAAAAP/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2gAMAwEAAhEDEQA/AIoAP//Z'

/** The `/host/*` routes for devices as the protocol describes them, without a device behind. It remembers what it was asked. */
export class FakeDeviceCalls {
  readonly seen: SeenCall[] = []
  /** Set by a test: answers a call in another way; undefined lets the usual answer happen. */
  override: ((call: SeenCall) => GivenAnswer | undefined | Promise<GivenAnswer | undefined>) | undefined
  private readonly options: { batchMs: number; isAgent: boolean }
  private executions = new Map<string, Execution>()

  constructor(options: { batchMs: number; isAgent: boolean }) {
    this.options = options
  }

  /** A host that was restarted no longer knows its executions. */
  forget(): void {
    this.executions = new Map()
  }

  last(path: string): SeenCall {
    const found = this.seen.findLast((call) => call.path === path)
    if (!found) throw new Error(`the host was never asked for ${path}`)
    return found
  }

  async answer(call: SeenCall): Promise<GivenAnswer | undefined> {
    this.seen.push(call)
    const other = await this.override?.(call)
    if (other) return other
    const execution = /^\/host\/(action|verification|builder)\/execution\/([^/]+)\/status$/.exec(call.path)
    if (execution?.[1] && execution[2]) return this.status(execution[1], decodeURIComponent(execution[2]))
    const given = this.batch(call) ?? plainAnswers(call, this.options.isAgent)[call.path.replace('/host/', '')]
    const inBackground = call.body.command === 'browser_use_task' && call.body.task_id !== undefined
    return given && { status: inBackground ? 202 : 200, body: given }
  }

  private batch({ path, body }: SeenCall): Record<string, unknown> | undefined {
    const list = (name: string) => (body[name] ?? []) as Record<string, unknown>[]
    if (path === '/host/action/executeBatch') return this.begin('action', list('actions').map(actionResult), body)
    if (path === '/host/verification/executeBatch') {
      return this.begin('verification', list('verifications').map(verificationResult), body)
    }
    if (/^\/host\/verification\/\w+\/execute$/.test(path)) return singleCheck(body)
    if (path === '/host/builder/execute') return this.begin('builder', [blockResult(body)], body)
    return undefined
  }

  private begin(kind: string, results: Record<string, unknown>[], body: Record<string, unknown>): Record<string, unknown> {
    const good = results.filter((one) => one.success === true || one.result_success === 0).length
    const result = {
      success: good === results.length,
      total_count: results.length,
      passed_count: good,
      failed_count: results.length - good,
      results,
      message: `${good} of ${results.length} passed`,
      logs: 'a line\n',
      execution_time_ms: this.options.batchMs,
    }
    // An original host chooses its own id; an agent takes the one it is given.
    const id = this.options.isAgent && typeof body.execution_id === 'string' ? body.execution_id : randomUUID()
    const now = performance.now()
    const failedWord = kind === 'verification' ? ('error' as const) : ('completed' as const)
    this.executions.set(id, { kind, startedAt: now, endsAt: now + this.options.batchMs, result, failedWord })
    return { success: true, execution_id: id, message: 'started' }
  }

  private status(kind: string, id: string): GivenAnswer {
    const execution = this.executions.get(id)
    if (!execution || execution.kind !== kind) {
      return { status: kind === 'verification' ? 200 : 404, body: { success: false, error: `Execution ${id} not found` } }
    }
    const { startedAt, endsAt, result, failedWord } = execution
    const now = performance.now()
    const ended = now >= endsAt
    const failed = result.success === false
    return {
      status: 200,
      body: {
        success: true,
        execution_id: id,
        status: ended ? (failed ? failedWord : 'completed') : 'running',
        result: ended ? result : null,
        error: ended && failed && failedWord === 'error' ? 'verification failed' : null,
        progress: ended ? 100 : Math.floor((100 * (now - startedAt)) / (endsAt - startedAt)),
        message: ended ? String(result.message) : 'running',
        elapsed_time_ms: Math.round(now - startedAt),
      },
    }
  }
}

/** `fail_*` is what a test sends for something that does not work. */
const works = (command: unknown): boolean => !String(command).startsWith('fail_')

const actionResult = ({ command }: Record<string, unknown>): Record<string, unknown> => ({
  success: works(command),
  message: works(command) ? 'done' : 'it did not work',
  error: works(command) ? null : 'it did not work',
  resultType: works(command) ? 'PASS' : 'FAIL',
  execution_time_ms: 10,
  action_category: 'main',
  screenshot_path: '/host/stream/capture1/captures/x.jpg',
  action_timestamp: Date.now() / 1000,
  iterations: null,
  action_details: {},
  output_data: {},
})

const verificationResult = ({ command, verification_type }: Record<string, unknown>): Record<string, unknown> => ({
  success: works(command),
  message: works(command) ? 'found' : 'not found',
  threshold: 0.8,
  matching_result: works(command) ? 0.97 : 0.2,
  resultType: works(command) ? 'PASS' : 'FAIL',
  sourceImageUrl: '/host/stream/capture1/captures/verification_results/source.jpg',
  verification_type,
  execution_time_ms: 20,
  details: {},
})

function singleCheck({ verification, device_id }: Record<string, unknown>): Record<string, unknown> {
  const success = works((verification as Record<string, unknown>).command)
  const evidence = '/host/stream/capture1/captures/verification_results'
  const urls = { sourceUrl: `${evidence}/source.jpg`, overlayUrl: `${evidence}/overlay.jpg`, referenceUrl: null }
  return { success, message: success ? 'found' : 'not found', resultType: success ? 'PASS' : 'FAIL', device_id, ...urls }
}

const blockResult = ({ command }: Record<string, unknown>): Record<string, unknown> => ({
  result_success: works(command) ? 0 : 1,
  message: 'done',
  execution_time_ms: 5,
  block_type: command,
})

function plainAnswers({ body, query }: SeenCall, isAgent: boolean): Record<string, Record<string, unknown>> {
  const device_id = typeof body.device_id === 'string' ? body.device_id : (query.device_id ?? 'device1')
  const success = true
  const done = { success, message: 'done', device_id }
  const web = { success, error: null, execution_time: 12 }
  const media = '/host/stream/capture1'
  return {
    'system/health': { status: 'ok', mode: 'host' },
    'remote/executeCommand': works(body.command) ? done : { success: false, message: 'no such key', device_id },
    'remote/tapCoordinates': done,
    'remote/takeScreenshot': { success, screenshot: onePixel, device_id },
    'remote/screenshotAndDump': { success, screenshot: onePixel, elements: [{ id: '1', text: 'Home' }], device_id },
    'remote/dumpUi': { success, elements: [{ id: '1', text: 'Home' }], device_id },
    'remote/getApps': { success, apps: [{ packageName: 'org.example.tv', label: 'TV' }], device_id },
    'power/getStatus': { success, status: 'on', device_id },
    'power/executeCommand': done,
    'desktop/bash/executeCommand': { success, output: 'hello\n', error: '', exit_code: 0, execution_time: 3 },
    'desktop/pyautogui/executeCommand': { success },
    'web/executeCommand':
      typeof body.task_id === 'string' && body.command === 'browser_use_task'
        ? { success, message: 'started', task_id: body.task_id }
        : web,
    'web/navigateToUrl': web,
    'web/openBrowser': { ...web, connected: true, current_url: 'about:blank', page_title: '' },
    'web/closeBrowser': web,
    'web/getPageInfo': { ...web, url: 'about:blank' },
    'web/getStatus': { success, status: { connected: true } },
    'av/getStreamUrl': {
      success,
      stream_url: `${media}/segments/output.m3u8`,
      mjpeg_url: `${media}/live.mjpeg`,
      device_id,
    },
    'av/takeScreenshot': { success, screenshot_url: `${media}/captures/verification_source.jpg`, device_id },
    'av/saveScreenshot': {
      success,
      screenshot_url: `${media}/captures/home.jpg`,
      screenshot_path: `navigation/${String(body.userinterface_name)}/${String(body.filename)}.jpg`,
      device_id,
    },
    'av/getSegmentCapture': {
      success,
      capture_url: `${media}/captures/capture_000000005.jpg`,
      capture_path: '/var/www/html/stream/capture1/captures/capture_000000005.jpg',
      segment_number: body.segment_number,
      capture_number: Number(body.segment_number) * Number(body.fps),
    },
    'system/restartHostStreamService': { success, restarted: true, device_id, quality: body.quality, message: 'restarted' },
    'monitoring/listCaptures': {
      success,
      captures: [{ filename: 'capture_000000001.jpg', timestamp: 1, url: `${media}/captures/capture_000000001.jpg` }],
      total: 1,
    },
    'monitoring/latest-json': { success, json_data: { blackscreen: false }, filename: 'capture_000000001.json', timestamp: 1 },
    'monitoring/live-events': { success, events: [], count: 0 },
    'builder/blocks': {
      success,
      blocks: [{ command: 'sleep', label: 'Sleep', description: '', params: {}, block_type: 'standard' }],
    },
    'verification/image/cropImage': {
      success,
      message: 'cropped',
      image_cropped_path: `${media}/captures/cropped/a.jpg`,
      image_cropped_url: `${media}/captures/cropped/a.jpg`,
      filename: 'a.jpg',
      area: body.area,
      source_was_url: true,
    },
    'verification/image/processImage': {
      success,
      message: 'filtered',
      image_filtered_path: `${media}/captures/cropped/b.jpg`,
      image_filtered_url: `${media}/captures/cropped/b.jpg`,
      filename: 'b.jpg',
      operations: {},
    },
    'verification/image/saveImage': {
      success,
      message: 'saved',
      reference_name: body.reference_name,
      r2_url: 'https://store.example.org/reference-images/a.jpg',
      r2_path: 'reference-images/a.jpg',
      reference_id: 'of the host',
      ...(isAgent && { image_base64: onePixel }),
    },
    'verification/text/detectText': {
      success,
      extracted_text: 'Home',
      confidence: 0.93,
      language: 'en',
      font_size: 20,
      image_textdetected_path: `${media}/captures/cropped/c.jpg`,
      image_textdetected_url: `${media}/captures/cropped/c.jpg`,
    },
    'verification/text/saveText': {
      success,
      message: 'saved',
      reference_name: body.reference_name,
      reference_id: 'of the host',
      text_data: { text: body.text },
    },
  }
}
