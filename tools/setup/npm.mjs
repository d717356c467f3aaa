// Runs npm with the product's Node and says in plain words why it failed.
import { spawn } from 'node:child_process'
import { basename, dirname } from 'node:path'

const noNetwork =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|ENOTCACHED|[A-Z_]*CERT[A-Z_]*)\b/
const shownLines = 12

/**
 * npm tells its children how it was called. An npm inside must not take that for its own options: with
 * `NODE_ENV=production` or `npm --workspace x run start` it would leave out what the product needs.
 */
export function cleanEnvironment() {
  const env = { ...process.env }
  const dropped =
    /^(NODE_ENV|NODE_OPTIONS|INIT_CWD|npm_(command|execpath|node_execpath|lifecycle_.*|package_.*)|npm_config_(local_prefix|global_prefix|prefix|workspaces?|include_workspace_root|omit|include|only|also|production|dry_run|global|location|package_lock.*))$/i
  for (const name of Object.keys(env)) if (dropped.test(name)) delete env[name]
  return env
}

/**
 * @param {string[]} args
 * @param {{ cwd: string, what: string, node?: string }} options `node` runs npm instead of this one
 */
export async function runNpm(args, { cwd, what, node = process.execPath }) {
  const env = cleanEnvironment()
  env.PATH = `${dirname(node)}:${env.PATH || ''}` // npm is a script that takes the first node it finds
  const quiet = ['--no-audit', '--no-fund', '--no-progress', '--no-update-notifier', '--loglevel=error', '--prefer-offline']
  // npm's own pauses let a machine without a network wait more than a minute, for each package that is missing.
  const retries = ['--fetch-retries=3', '--fetch-retry-mintimeout=500', '--fetch-retry-maxtimeout=4000']
  const cli = process.env.npm_execpath
  const isNpm = cli !== undefined && basename(cli) === 'npm-cli.js'
  const [command, first] = isNpm ? [node, [cli]] : ['npm', []]
  const { status, output } = await collect(command, [...first, ...args, ...quiet, ...retries], { cwd, env })
  if (status === 0) return
  if (noNetwork.test(output)) {
    throw new Error(
      `${what} could not be fetched: the npm registry cannot be reached. Connect this machine once and run it again.`,
    )
  }
  const reason = output.split(/^npm (?:error|ERR!) Usage:/m)[0] // what follows explains npm
  const lines = reason.split('\n').filter((line) => /^npm (error|ERR!) ./.test(line))
  throw new Error(
    `${what} could not be installed:\n${(lines.length > 0 ? lines : [output.trim()]).slice(0, shownLines).join('\n')}`,
  )
}

async function collect(command, args, options) {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  // Without this an npm would go on alone after its setup was stopped, beside the one of the next setup.
  const stop = (signal) => {
    child.kill(signal)
    child.once('close', () => process.exit(1))
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, stop)
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', (cause) => {
        const missing = cause.code === 'ENOENT' ? `The program ${command} was not found on this machine.` : cause.message
        reject(new Error(missing, { cause }))
      })
      child.once('close', (status) => resolve({ status, output }))
    })
  } finally {
    for (const signal of signals) process.off(signal, stop)
  }
}
