// Formats everything and mends what the linter can mend safely.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { repositoryRoot as root } from './files.ts'

const biome = join(root, 'node_modules', '.bin', 'biome')
const run = spawnSync(biome, ['check', '--write', ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
process.exitCode = run.status ?? 1
