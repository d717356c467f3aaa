/** Where the agent put this script: its address, the key of the run and what the run is about. */
export type RunSettings = {
  agentUrl: string
  runKey: string
  runId: string
  deviceId: string
  deviceModel: string
  hostName: string
  artifactsDir: string
  demoUrl: string
}

/** Read at each use and not at import, so that a script can be looked at without being run by an agent. */
export function runSettings(): RunSettings {
  const { env } = process
  const agentUrl = env.VPT_AGENT_URL?.replace(/\/+$/, '')
  if (!agentUrl || !env.VPT_RUN_KEY) {
    throw new Error(
      'VPT_AGENT_URL and VPT_RUN_KEY are not set: this script is started by a host agent, for example with "vpt run"',
    )
  }
  return {
    agentUrl,
    runKey: env.VPT_RUN_KEY,
    runId: env.VPT_RUN_ID ?? '',
    deviceId: env.VPT_DEVICE_ID ?? '',
    deviceModel: env.VPT_DEVICE_MODEL ?? '',
    hostName: env.VPT_HOST_NAME ?? '',
    artifactsDir: env.VPT_ARTIFACTS_DIR ?? '',
    demoUrl: env.VPT_DEMO_URL ?? `${agentUrl}/demo/index.html`,
  }
}
