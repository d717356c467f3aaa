// Compiles the workspaces to JavaScript in their dist/ folders, which is what the image and the benchmarks run.
//
// The order matters: the server and the host read the types of the contract from shared/dist. Files that are no
// code (migrations, pictures) are read from their place in the package and are not copied.
import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bundlePrograms } from './bundle/bundle.ts'
import { writeCodeCache } from './bundle/code-cache.ts'
import { listFiles, repositoryRoot as root } from './files.ts'

const workspaces = ['shared', 'backend_server', 'backend_host']

async function compile(workspace: string): Promise<boolean> {
  const folder = join(root, workspace)
  const draft = join(folder, `dist.new-${process.pid}`)
  const args = ['-p', join(folder, 'tsconfig.build.json'), '--outDir', draft]
  const run = spawnSync(join(root, 'node_modules', '.bin', 'tsc'), args, { cwd: root, stdio: 'inherit' })
  if (run.status !== 0) {
    rmSync(draft, { recursive: true, force: true })
    return false
  }
  for (const file of listFiles(draft, (path) => path.endsWith('.js'))) {
    if (readFileSync(join(draft, file), 'utf8').startsWith('#!')) chmodSync(join(draft, file), 0o755)
  }
  if (workspace === 'backend_server') {
    await bundlePrograms(draft)
    await writeCodeCache(draft)
  }
  replaceFolder(draft, join(folder, 'dist'))
  return true
}

/** So that nothing of an earlier build stays, and a program that starts just now finds one build or the other. */
function replaceFolder(draft: string, target: string) {
  const old = `${target}.old-${process.pid}`
  try {
    renameSync(target, old)
  } catch {
    // The first build.
  }
  renameSync(draft, target)
  rmSync(old, { recursive: true, force: true })
}

for (const workspace of workspaces) {
  const from = performance.now()
  if (!(await compile(workspace))) {
    console.error(`${workspace} was not compiled.`)
    process.exitCode = 1
    break
  }
  console.log(`${workspace}/dist  ${((performance.now() - from) / 1000).toFixed(1)} s`)
}
