import path from 'node:path'

/** How this agent itself runs; TypeScript and JavaScript scripts run the same way. */
export interface NodeRuntime {
  execPath: string
  /** Flags before the script, such as `-C source` when the agent runs from its sources. */
  args: readonly string[]
}

/** The program and its first arguments for a script, by its extension; without a known one the file is the program. */
export function interpreterFor(file: string, node: NodeRuntime): { file: string; args: string[] } {
  switch (path.extname(file)) {
    case '.ts':
    case '.js':
    case '.mjs':
      return { file: node.execPath, args: [...node.args, file] }
    case '.py':
      return { file: 'python3', args: ['-u', file] }
    case '.sh':
      return { file: 'sh', args: [file] }
    default:
      return { file, args: [] }
  }
}
