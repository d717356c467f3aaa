import { type Config, ConfigError, readConfig } from '../config.ts'
import { FolderError } from './folders.ts'
import { hasGrafana, prepareContainer } from './prepare.ts'

// Run by the entrypoint of the container before any program: checks the environment and writes what the programs need.
// Ends with 1 and one message when the container cannot start. Every start waits for it, so it loads what this start needs alone.

async function main(): Promise<void> {
  const config: Config = readConfig(process.env)
  if (config.grafana === 'embedded') {
    const { grafanaEnvironmentProblems } = await import('../features/dashboards/index.ts')
    const problems = grafanaEnvironmentProblems(process.env, { authMode: config.authMode })
    if (problems.length > 0) throw new ConfigError(problems)
  }
  await prepareContainer(config, {
    appDir: '/app',
    runDir: '/run/virtualpytest',
    logDir: '/var/log/supervisor',
    isRoot: process.getuid?.() === 0,
    grafana: hasGrafana(config.grafana, process.env.GRAFANA_BIN),
  })
}

// No top-level await: this is bundled as one script.
main().catch((error: unknown) => {
  const isExpected = error instanceof ConfigError || error instanceof FolderError
  process.stderr.write(`${isExpected ? error.message : error instanceof Error ? error.stack : 'unknown failure'}\n`)
  process.exit(1)
})
