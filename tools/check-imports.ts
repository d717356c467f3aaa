// Who may import whom. The table is the one of ARCHITECTURE.md; the reason for each row stands beside it.
import { existsSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, normalize } from 'node:path'
import { isSource, isTest, lineAt, listFiles, type Problem } from './files.ts'
import { findImports, readSource } from './source-text.ts'

const workspaces = ['shared', 'backend_server', 'backend_host', 'test_scripts', 'tools']

interface Rule {
  /** Files the row is about, as a pattern on their path. The first row that fits a file decides. */
  of: RegExp
  /** Paths inside the repository that they may import. `$1` is the first group of `of`, such as the name of the feature. */
  files: string[]
  /** Paths from which they may import types, which leave no trace at run time. */
  types?: string[]
  /** Packages they may import besides Node's own modules; absent: any that their workspace declares. */
  packages?: string[]
  noNodeModules?: true
  because: string
}

const contract = '@virtualpytest/shared'

/** Tests are judged by their workspace alone: they may start anything in it. */
const rules: Rule[] = [
  {
    of: /^shared\/src\//,
    files: ['shared/src/'],
    packages: ['zod'],
    noNodeModules: true,
    because: 'the contract runs in browsers too: zod and itself, no Node modules',
  },
  {
    of: /^backend_server\/src\/features\/([^/]+)\//,
    files: [
      'backend_server/src/features/$1/',
      'backend_server/src/features/[^/]+/index\\.ts$',
      'backend_server/src/(http|db|jobs)/',
    ],
    types: ['backend_server/src/config\\.ts$'],
    because: 'a feature imports the contract, http, db, jobs and the index.ts of other features',
  },
  {
    of: /^backend_server\/src\/(http|db|jobs)\//,
    files: ['backend_server/src/(http|db|jobs)/'],
    types: ['backend_server/src/config\\.ts$'],
    because: 'plumbing never knows a feature or the application; settings come in as arguments',
  },
  {
    of: /^backend_server\/src\/cli\//,
    files: ['backend_server/src/cli/', 'backend_server/src/config\\.ts$'],
    because: 'the command talks HTTP to a server and starts other programs as processes',
  },
  {
    of: /^backend_server\/src\/app\.ts$/,
    files: [
      'backend_server/src/(http|db|jobs)/',
      'backend_server/src/features/[^/]+/index\\.ts$',
      'backend_server/src/[^/]+\\.ts$',
    ],
    because: 'app.ts is the only file that puts features together, through their index.ts',
  },
  {
    of: /^backend_server\/src\/[^/]+\.ts$/,
    files: ['backend_server/src/(http|db|jobs)/', 'backend_server/src/[^/]+\\.ts$'],
    because: 'only app.ts imports features',
  },
  {
    of: /^backend_host\/src\/drivers\/([^/]+)\//,
    files: ['backend_host/src/drivers/$1/', 'backend_host/src/drivers/driver\\.ts$', 'backend_host/src/process/'],
    because: 'a driver imports driver.ts and process/, never the link to the server and never another driver',
  },
  {
    of: /^backend_host\/src\/(drivers|process)\//,
    files: ['backend_host/src/drivers/', 'backend_host/src/process/'],
    because: 'drivers and processes do not know the server',
  },
  {
    of: /^backend_host\/src\/sdk\//,
    files: ['backend_host/src/(sdk|vision)/'],
    because: 'scripts import the SDK, which speaks HTTP to the agent and knows nothing else of it but how to look at pictures',
  },
  {
    of: /^backend_host\/src\/vision\//,
    files: ['backend_host/src/vision/'],
    because: 'vision takes pictures and gives verdicts; where they come from is not its business',
  },
  {
    of: /^backend_host\/src\/features\/([^/]+)\//,
    files: [
      'backend_host/src/features/$1/',
      'backend_host/src/features/[^/]+/index\\.ts$',
      'backend_host/src/(http|link|outbox|process|vision)/',
      'backend_host/src/drivers/[^/]+\\.ts$',
    ],
    types: ['backend_host/src/config\\.ts$'],
    because: 'a feature imports the contract, http, link, outbox, process, drivers and the index.ts of other features',
  },
  {
    of: /^backend_host\/src\/(http|link|outbox)\//,
    files: ['backend_host/src/(http|link|outbox|process)/'],
    types: ['backend_host/src/config\\.ts$'],
    because: 'plumbing never knows a feature, a driver or the application',
  },
  {
    of: /^test_scripts\//,
    files: ['test_scripts/'],
    packages: ['@virtualpytest/backend-host', contract],
    because: 'a script uses the SDK like everybody else who writes one',
  },
]

/** Where the environment may be read: everywhere else settings come in as arguments. */
const readsEnvironment = /\/src\/(.*\/)?(main|config)\.ts$/

interface Manifest {
  name?: string
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  devDependencies?: Record<string, string>
}

function readManifest(root: string, workspace: string): Manifest {
  const file = join(root, workspace, 'package.json')
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Manifest) : {}
}

function declaredPackages(root: string, workspace: string, file: string): Set<string> {
  const own = readManifest(root, workspace)
  const names = [own.name ?? '', ...Object.keys(own.dependencies ?? {}), ...Object.keys(own.optionalDependencies ?? {})]
  if (isTest(file) || workspace === 'tools') names.push(...Object.keys(readManifest(root, '.').devDependencies ?? {}))
  // Tools and scripts have no manifest of their own: they stand beside all workspaces.
  if (workspace === 'tools' || workspace === 'test_scripts') {
    for (const other of ['shared', 'backend_server', 'backend_host']) {
      const manifest = readManifest(root, other)
      names.push(manifest.name ?? '', ...Object.keys(manifest.dependencies ?? {}))
    }
  }
  return new Set(names)
}

export const packageOf = (specifier: string) => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')

export function checkImports(root: string): Problem[] {
  const problems: Problem[] = []
  for (const workspace of workspaces) {
    if (!existsSync(join(root, workspace))) continue
    const files = listFiles(join(root, workspace), isSource).map((path) => `${workspace}/${path}`)
    for (const file of files) {
      const text = readFileSync(join(root, file), 'utf8')
      problems.push(...checkFile(root, workspace, file, text))
    }
  }
  return problems
}

function checkFile(root: string, workspace: string, file: string, text: string): Problem[] {
  const problems: Problem[] = []
  const rule = isTest(file) ? undefined : rules.find(({ of }) => of.test(file))
  const declared = declaredPackages(root, workspace, file)
  for (const { specifier, line, isTypeOnly } of findImports(text)) {
    const report = (why: string) => problems.push({ file, line, text: `imports ${specifier}: ${why}` })
    if (specifier.startsWith('.')) {
      const target = normalize(join(dirname(file), specifier))
      if (!target.startsWith(`${workspace}/`) && workspace !== 'tools') report('a path that leaves its workspace')
      else if (rule && !allowsFile(rule, file, target, isTypeOnly)) report(rule.because)
      else if (isTest(target) && !isTest(file) && file.includes('/src/')) report('a test file')
    } else if (isBuiltin(specifier)) {
      if (rule?.noNodeModules) report(rule.because)
    } else {
      const name = packageOf(specifier)
      if (rule?.packages && !rule.packages.includes(name)) report(rule.because)
      else if (!declared.has(name)) report(`${workspace}/package.json does not declare it`)
    }
  }
  if (/\/src\//.test(file) && !isTest(file) && !readsEnvironment.test(file)) {
    for (const match of readSource(text).code.matchAll(/\bprocess\s*\.\s*env\b/g)) {
      problems.push({ file, line: lineAt(text, match.index), text: 'reads process.env: only main.ts and config.ts do' })
    }
  }
  return problems
}

function allowsFile(rule: Rule, file: string, target: string, isTypeOnly: boolean): boolean {
  const name = rule.of.exec(file)?.[1] ?? ''
  return [...rule.files, ...(isTypeOnly ? (rule.types ?? []) : [])].some((pattern) =>
    new RegExp(`^${pattern.replace('$1', name)}`).test(target),
  )
}
