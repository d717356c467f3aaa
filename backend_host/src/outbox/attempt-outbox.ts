import { copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { RunOrder, RunStep, TaskComplete } from '@virtualpytest/shared'
import { readJson, syncFolder, writeDurably } from '../process/durable-file.ts'
import { AttemptLog, batchLines, type LogLimits } from './attempt-log.ts'
import { createBell } from './bell.ts'

export interface PendingArtifact {
  id: string
  kind: 'screenshot' | 'file'
  name: string
  content_type: string
}
export interface StartedProcess {
  pid: number
  start_time: number | null
}

const stepsPerCall = 200
/** Pictures and files one run may hold on disk while they wait; a server that takes them makes room. */
const largestWaitingBytes = 512 * 1024 * 1024

/**
 * Everything one attempt of a run has to tell the server, on disk until it is acknowledged:
 *
 *     order.json      the order, before it is confirmed       process.json  which process runs it
 *     log.txt         lines, see AttemptLog                   steps.jsonl   each change of a step, last one counts
 *     artifacts/ID    data, with ID.json beside it            result.json   how it ended; its being there ends the attempt
 *     files/          what the script puts into VPT_ARTIFACTS_DIR
 *
 * States: open (no result.json) -> ended (result.json) -> removed. Order and result are flushed to the platter, the rest
 * survives the death of the agent. What was acknowledged is not recorded: after a restart everything is offered again,
 * which the server's calls allow. The folder is named after run and token, because a run may come back with a higher
 * token while its earlier attempt is still being ended.
 */
export class AttemptOutbox {
  readonly folder: string
  readonly order: RunOrder
  readonly log: AttemptLog
  /** Ring when there is something to deliver; each has one listener. */
  readonly progressNews = createBell()
  readonly artifactNews = createBell()
  readonly steps = new Map<number, RunStep>()
  result: TaskComplete | undefined
  startedProcess: StartedProcess | undefined
  isStartSent = false
  isLogAbandoned = false
  sentLines = 0
  readonly artifacts: PendingArtifact[] = []
  readonly #unsentSteps = new Set<number>()
  #stepWrites: Promise<void> = Promise.resolve()
  #waitingBytes = 0
  #isRemoved = false

  private constructor(folder: string, order: RunOrder, log: AttemptLog) {
    this.folder = folder
    this.order = order
    this.log = log
  }

  static folderName = (order: RunOrder): string => `${order.run_id}.${order.token}`

  /** Takes an order in. When this resolves, it survives the death of the agent. */
  static async create(root: string, order: RunOrder, limits?: LogLimits): Promise<AttemptOutbox> {
    const folder = path.join(root, AttemptOutbox.folderName(order))
    await mkdir(path.join(folder, 'artifacts'), { recursive: true })
    await mkdir(path.join(folder, 'files'), { recursive: true })
    await writeDurably(path.join(folder, 'order.json'), JSON.stringify(order))
    await syncFolder(root)
    return new AttemptOutbox(folder, order, await AttemptLog.open(path.join(folder, 'log.txt'), limits))
  }

  /** Reads what an earlier life of the agent left. Undefined: nothing usable, the order was never confirmed. */
  static async open(folder: string, limits?: LogLimits): Promise<AttemptOutbox | undefined> {
    const order = RunOrder.safeParse(await readJson(path.join(folder, 'order.json')))
    if (!order.success) return undefined
    await mkdir(path.join(folder, 'artifacts'), { recursive: true })
    const outbox = new AttemptOutbox(folder, order.data, await AttemptLog.open(path.join(folder, 'log.txt'), limits))
    await outbox.#load()
    return outbox
  }

  async #load(): Promise<void> {
    const result = TaskComplete.safeParse(await readJson(path.join(this.folder, 'result.json')))
    if (result.success) this.result = result.data
    this.startedProcess = (await readJson(path.join(this.folder, 'process.json'))) as StartedProcess | undefined
    const lines = await readFile(path.join(this.folder, 'steps.jsonl'), 'utf8').catch(() => '')
    for (const line of lines.split('\n')) {
      const step = parseStep(line)
      if (step) this.#remember(step)
    }
    for (const name of await readdir(path.join(this.folder, 'artifacts'))) {
      if (!name.endsWith('.json')) continue
      const found = (await readJson(path.join(this.folder, 'artifacts', name))) as PendingArtifact | undefined
      if (found) this.artifacts.push(found)
    }
  }

  get isEnded(): boolean {
    return this.result !== undefined
  }

  async appendLines(lines: readonly string[]): Promise<void> {
    await this.log.append(lines)
    this.progressNews.ring()
  }

  async markStarted(started: StartedProcess): Promise<void> {
    this.startedProcess = started
    await writeFile(path.join(this.folder, 'process.json'), JSON.stringify(started))
    this.progressNews.ring()
  }

  putStep(step: RunStep): void {
    this.#remember(step)
    const line = `${JSON.stringify(step)}\n`
    this.#stepWrites = this.#stepWrites
      .then(() => writeFile(path.join(this.folder, 'steps.jsonl'), line, { flag: 'a' }))
      .catch(() => undefined)
    this.progressNews.ring()
  }

  #remember(step: RunStep): void {
    this.steps.set(step.position, step)
    this.#unsentSteps.add(step.position)
  }

  takeSteps(): RunStep[] {
    const positions = [...this.#unsentSteps].slice(0, stepsPerCall)
    for (const position of positions) this.#unsentSteps.delete(position)
    return positions.flatMap((position) => this.steps.get(position) ?? [])
  }

  /** Steps of a call that failed; one that has changed meanwhile is unsent already. */
  giveBackSteps(steps: readonly RunStep[]): void {
    for (const step of steps) this.#unsentSteps.add(step.position)
  }

  get hasProgress(): boolean {
    const hasStart = this.startedProcess !== undefined && !this.isStartSent
    return hasStart || this.#unsentSteps.size > 0 || (!this.isLogAbandoned && this.sentLines < this.log.count)
  }

  /** The server does not take the log or the start of this attempt: what counts now is its result. */
  abandonProgress(): void {
    this.isLogAbandoned = true
    this.isStartSent = true
  }

  get hasLogBacklog(): boolean {
    return !this.isLogAbandoned && this.log.count - this.sentLines >= batchLines
  }

  /** Data first, description after it: an artifact without description does not exist. */
  async addArtifact(artifact: PendingArtifact, source: { data: Buffer } | { file: string }): Promise<void> {
    const size = 'data' in source ? source.data.length : (await stat(source.file)).size
    if (this.#waitingBytes + size > largestWaitingBytes)
      throw new Error('Too many pictures and files of this run wait for the server.')
    this.#waitingBytes += size
    const target = this.artifactFile(artifact.id)
    if ('data' in source) await writeFile(target, source.data)
    else await rename(source.file, target).catch(() => copyFile(source.file, target))
    await writeFile(`${target}.json`, JSON.stringify(artifact))
    this.artifacts.push(artifact)
    this.artifactNews.ring()
  }

  artifactFile = (id: string): string => path.join(this.folder, 'artifacts', id)

  async dropArtifact(artifact: PendingArtifact): Promise<void> {
    const { size } = await stat(this.artifactFile(artifact.id)).catch(() => ({ size: 0 }))
    this.#waitingBytes = Math.max(0, this.#waitingBytes - size)
    const index = this.artifacts.indexOf(artifact)
    if (index !== -1) this.artifacts.splice(index, 1)
    await rm(`${this.artifactFile(artifact.id)}.json`, { force: true })
    await rm(this.artifactFile(artifact.id), { force: true })
  }

  /** Ends the attempt. A result that cannot be written (disk full) is delivered all the same and reported as rejection. */
  async finish(result: TaskComplete): Promise<void> {
    try {
      await this.#stepWrites
      await writeDurably(path.join(this.folder, 'result.json'), JSON.stringify(result))
    } finally {
      this.result = result
      this.progressNews.ring()
      this.artifactNews.ring()
    }
  }

  /** Stops using the folder and keeps it for the next life of the agent. */
  async close(): Promise<void> {
    await this.#stepWrites
    if (!this.#isRemoved) await this.log.close()
    this.#isRemoved = true
  }

  async remove(): Promise<void> {
    if (this.#isRemoved) return
    await this.close()
    // The order goes first: a half removed folder must not look like an open attempt.
    await rm(path.join(this.folder, 'order.json'), { force: true })
    await rm(this.folder, { recursive: true, force: true })
  }
}

function parseStep(line: string): RunStep | undefined {
  if (line === '') return undefined
  try {
    return RunStep.parse(JSON.parse(line))
  } catch {
    return undefined // the last line of a file whose writer was killed
  }
}
