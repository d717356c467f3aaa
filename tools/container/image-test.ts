// Builds the image without a Docker engine, measures it and runs the container tests in it: `npm run image:test -- --help`.
import { parseArgs } from 'node:util'
import { cannotStartContainers } from '../../backend_server/test/container/container.ts'
import { showMemory } from '../../backend_server/test/container/resident-memory.ts'
import { addTotals } from '../runner/tap.ts'
import { installMissingPrograms, missingPrograms } from '../system-packages.ts'
import { type Build, buildImage, NoBase } from './image/build.ts'
import { type Figures, measure } from './image/measure.ts'
import { containerPrograms, imagePrograms } from './packages.ts'
import { containerTestFiles, finish, gateTestFiles, runContainerTests } from './run-tests.ts'

const gateMinutes = 11

const help = `npm run image:test [-- NAME...] [--gate] [--figures-only] [--no-figures] [--keep] [--verbose] [--help]

Builds backend_server/Dockerfile with buildah on a base image made by debootstrap, starts it as process 1 of namespaces of its
own, prints start times and memory, and runs the tests of npm run container:test in it. NAME picks files. Needs root on Debian
and network; what is missing of the packages is installed. Where the image cannot be built, that counts as skipped and the tests
run on the programs of this machine.

--gate          the form of .ci/run: no figures, the files that prove most; what has not begun after ${gateMinutes} minutes is skipped
--figures-only  build and figures, no tests
--no-figures    build and tests
--keep          keep the built image (buildah storage in the work folder)
--verbose       the whole output of passing tests too
VPT_IMAGE_WORK names the work folder (/var/tmp/virtualpytest-image): base image and downloads are kept there for the next run.`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    gate: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    'figures-only': { type: 'boolean', default: false },
    'no-figures': { type: 'boolean', default: false },
  },
})

const say = (line: string): void => void process.stdout.write(`${line}\n`)

function show({ topology, healthMs, readyMs, stopMs, memory }: Figures): void {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
  say(`${topology.padEnd(7)} /health after ${seconds(healthMs)}, ready after ${seconds(readyMs)}, stopped in ${seconds(stopMs)}`)
  say(`        ${showMemory(memory)}`)
}

async function main(): Promise<void> {
  if (values.help) return console.log(help)
  const files = values.gate ? gateTestFiles() : containerTestFiles(positionals)
  const run = { files, verbose: values.verbose, ...(values.gate && { deadline: Date.now() + gateMinutes * 60_000 }) }
  if (files.length === 0) throw new Error(`No container test has ${positionals.join(' or ')} in its name.`)
  installMissingPrograms(say, [...containerPrograms, ...imagePrograms])
  const withoutImage = async (why: string): Promise<void> => {
    say(`skipped  the image is not built: ${why}`)
    const skipped = { passed: 0, failed: 0, skipped: 1 }
    finish(values['figures-only'] ? skipped : addTotals([skipped, await runContainerTests(run)]))
  }
  const reason = cannotStartContainers()
  if (reason) return withoutImage(reason)
  const missing = missingPrograms(imagePrograms)
  if (missing.length > 0) return withoutImage(`needs ${missing.map(({ commands }) => commands[0]).join(', ')}`)
  let build: Build | undefined
  try {
    build = buildImage(say)
    if (!values['no-figures'] && !values.gate)
      for (const topology of ['direct', 'nginx'] as const) show(await measure(build.root, topology))
    const built = { passed: 1, failed: 0, skipped: 0 }
    if (values['figures-only']) return finish(built)
    finish(addTotals([built, await runContainerTests({ ...run, image: build.root })]))
  } catch (error) {
    if (error instanceof NoBase) return await withoutImage(error.message)
    say(`FAILED  ${error instanceof Error ? error.message : String(error)}`)
    finish({ passed: 0, failed: 1, skipped: 0 })
  } finally {
    build?.end(values.keep)
  }
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
