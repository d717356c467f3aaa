// Runs the tests of the container on the programs of this machine: `npm run container:test -- --help`.
import { parseArgs } from 'node:util'
import { cannotStartContainers } from '../../backend_server/test/container/container.ts'
import { installMissingPrograms } from '../system-packages.ts'
import { containerPrograms } from './packages.ts'
import { containerTestFiles, finish, runContainerTests } from './run-tests.ts'

const help = `npm run container:test [-- NAME...] [--verbose] [--help]

Supervision, both topologies, process 1, users, volumes and logs of the container, on real supervisord, nginx and PostgreSQL in
namespaces of their own, with this checkout as /app. NAME picks files by a part of their names. Needs root on Debian; what is
missing of its packages is installed. npm run image:test runs the same tests in the built image.

--verbose  the whole output of passing tests too
TEST_ROUNDS and TEST_LINES set larger sizes; npm run reliability -- T8 T9 T10 T20 --long uses them.`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean', default: false }, verbose: { type: 'boolean', default: false } },
})

async function main(): Promise<void> {
  if (values.help) return console.log(help)
  const files = containerTestFiles(positionals)
  if (files.length === 0) throw new Error(`No container test has ${positionals.join(' or ')} in its name.`)
  installMissingPrograms((line) => console.log(line), containerPrograms)
  const reason = cannotStartContainers()
  if (reason) console.log(`No container can be started here: ${reason}.`)
  finish(await runContainerTests({ files, verbose: values.verbose }))
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
