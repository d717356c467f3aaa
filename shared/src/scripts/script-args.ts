/** One parameter that a script declares in its text. */
export interface ScriptParameter {
  name: string
  type: 'optional' | 'positional'
  required: boolean
  help: string
  default: string | null
  value_type: 'str' | 'int' | 'float' | 'bool'
}

const linesRead = 300
const valueTypes = new Set(['str', 'int', 'float', 'bool'])

/**
 * Parameters declared in the first 300 lines of a script, in any language, without running it:
 * texts `"--name:type:default"` in a list called `_script_args`, then Python `add_argument` calls.
 * A name found twice counts once. `None` as default means none.
 */
export function parseScriptArgs(source: string): ScriptParameter[] {
  const head = source.split(/\r?\n/, linesRead).join('\n')
  const found = new Map<string, ScriptParameter>()
  for (const parameter of [...fromScriptArgs(head), ...fromAddArgument(head)]) {
    if (!found.has(parameter.name)) found.set(parameter.name, parameter)
  }
  return [...found.values()]
}

function fromScriptArgs(head: string): ScriptParameter[] {
  // Behind the `=`: a type annotation may hold brackets too, as may the quoted texts of the list.
  const list = /_script_args\b[^=\n]*=\s*[[(]((?:"[^"\n]*"|'[^'\n]*'|[^"'\])])*)[\])]/.exec(head)?.[1]
  if (list === undefined) return []
  const entries = [...list.matchAll(/(["'])(--?)([A-Za-z][\w-]*)(?::([^"':]*))?(?::((?:(?!\1)[^\n])*))?\1/g)]
  return entries.map(([, , , name, type, fallback]) => ({
    name: name ?? '',
    type: 'optional',
    required: fallback === undefined,
    help: '',
    default: defaultText(fallback),
    value_type: valueType(type),
  }))
}

function fromAddArgument(head: string): ScriptParameter[] {
  return [...head.matchAll(/add_argument\(\s*((?:"[^"]*"|'[^']*'|[^()"']|\([^()]*\))*)\)/g)].flatMap(([, inside = '']) => {
    const names = [...inside.matchAll(/(?:^|,)\s*(["'])([^"']+)\1(?=\s*(?:,|$))/g)].map((match) => match[2] ?? '')
    const long = names.find((name) => name.startsWith('--')) ?? names[0]
    if (long === undefined) return []
    const positional = !long.startsWith('-')
    const option = (key: string) => new RegExp(`\\b${key}\\s*=\\s*("[^"]*"|'[^']*'|[^,\\n)]+)`).exec(inside)?.[1]?.trim()
    const isFlag = option('action')?.includes('store_true') ?? false
    const fallback = option('default')
    return [
      {
        name: long.replace(/^-+/, ''),
        type: positional ? ('positional' as const) : ('optional' as const),
        required: positional ? option('nargs') === undefined : option('required') === 'True',
        help: unquote(option('help') ?? ''),
        default: isFlag ? 'false' : defaultText(fallback === undefined ? undefined : unquote(fallback)),
        value_type: isFlag ? ('bool' as const) : valueType(option('type')),
      },
    ]
  })
}

const unquote = (value: string): string => value.replace(/^(["'])([\s\S]*)\1$/, '$2')
const valueType = (type: string | undefined): ScriptParameter['value_type'] =>
  type !== undefined && valueTypes.has(type) ? (type as ScriptParameter['value_type']) : 'str'

function defaultText(value: string | undefined): string | null {
  if (value === undefined || value === 'None') return null
  if (value === 'True' || value === 'False') return value.toLowerCase()
  return value
}
