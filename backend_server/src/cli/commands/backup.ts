import type { Command } from 'commander'
import { z } from 'zod'
import { exitCodes } from '../cli-error.ts'
import { type MaintenanceOrder, maintain } from '../maintenance.ts'
import { note, paint, plain, say, sayJson, sayTable } from '../terminal.ts'
import { plural, showDuration, showTime } from '../units.ts'
import { examples } from './options.ts'

const BackupMade = z.looseObject({
  file: z.string(),
  bytes: z.number(),
  data_bytes: z.number(),
  rows: z.number(),
  tables: z.number(),
  schema_version: z.number(),
  write_ms: z.number(),
  verify_ms: z.number(),
})
const Restored = z.looseObject({
  rows: z.number(),
  tables: z.number(),
  created_at: z.string(),
  schema_version: z.number(),
  check_ms: z.number(),
  load_ms: z.number(),
  server_running: z.boolean(),
})
const Listed = z.looseObject({
  folder: z.string(),
  backups: z.array(
    z.looseObject({
      name: z.string(),
      file: z.string(),
      kind: z.string(),
      created_at: z.string(),
      schema_version: z.number(),
      bytes: z.number(),
      damage: z.string().nullish(),
    }),
  ),
})

const whichDatabase =
  'It works on the database of the server: DATABASE_URL, or the embedded one below DATA_DIR, whether the server runs or not.'

export function addBackupCommands(program: Command): void {
  program
    .command('backup')
    .summary('back up the database of the server')
    .description(
      `Writes all tables into one file, reads it back completely, and names it only then. ${whichDatabase}\nPictures and files of runs are not in it: copy DATA_DIR/artifacts as files.`,
    )
    .option('--database-url <url>', 'another database; DATABASE_URL in the environment hides the password better')
    .option('--out <file>', 'where to write it; default: the folder of backups, where only the newest are kept')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt backup', 'vpt backup --out /mnt/usb/lab.backup.gz'))
    .action(async ({ databaseUrl, out, json }: { databaseUrl?: string; out?: string; json?: boolean }) => {
      const made = await maintain(BackupMade, { order: { do: 'backup', out }, databaseUrl, ...progress(json) })
      if (json) {
        sayJson({ success: true, ...made })
        return
      }
      const { rows, tables, data_bytes, bytes, write_ms, verify_ms } = made
      note(
        paint(
          'dim',
          `${plural(rows, 'row')} of ${plural(tables, 'table')}, ${showBytes(data_bytes)} packed into ${showBytes(bytes)}, written in ${showDuration(write_ms)}, verified in ${showDuration(verify_ms)}`,
          process.stderr,
        ),
      )
      say(plain(made.file))
    })

  program
    .command('restore')
    .summary('restore a backup into an empty database')
    .description(
      `Checks the file, then loads it in one transaction: it succeeds completely, or nothing is changed. ${whichDatabase}\nStop the server before, and start it afterwards.`,
    )
    .argument('<file>', 'a file that vpt backup wrote')
    .option('--database-url <url>', 'another database; DATABASE_URL in the environment hides the password better')
    .option('--replace', 'drop what the database holds; without it a database that is not empty is refused')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt restore data/backups/vpt-20261123T031500Z-schema6-daily.backup.gz'))
    .action(async (file: string, { databaseUrl, replace, json }: { databaseUrl?: string; replace?: boolean; json?: boolean }) => {
      const order = { do: 'restore' as const, file, replace: replace ?? false }
      const restored = await maintain(Restored, { order, databaseUrl, ...progress(json) })
      if (json) {
        sayJson({ success: true, ...restored })
        return
      }
      const { rows, tables, created_at, schema_version, check_ms, load_ms, server_running } = restored
      say(
        `Restored ${plural(rows, 'row')} of ${plural(tables, 'table')} as of ${showTime(created_at)} in ${showDuration(check_ms + load_ms)}; counts and digests are equal. Schema version ${schema_version}.`,
      )
      if (server_running)
        note(paint('yellow', 'A server works on this database. Restart it now: it remembers things of before.', process.stderr))
    })

  program
    .command('backups')
    .summary('list the backups')
    .description('Lists the backups in the folder of the server, the newest first. With --verify each is read to its end.')
    .option('--verify', 'read each one and say whether it is whole; the exit code is 1 when one is not')
    .option('--json', 'print JSON')
    .addHelpText('after', examples('vpt backups', 'vpt backups --verify'))
    .action(async ({ verify, json }: { verify?: boolean; json?: boolean }) => {
      const listed = await maintain(Listed, { order: { do: 'list', verify: verify ?? false }, ...progress(json) })
      const damaged = listed.backups.filter((one) => one.damage)
      if (damaged.length > 0) process.exitCode = exitCodes.failed
      if (json) {
        sayJson({ success: damaged.length === 0, ...listed })
        return
      }
      sayTable(
        listed.backups,
        [
          { title: 'MADE', value: (one) => showTime(one.created_at) },
          { title: 'KIND', value: (one) => one.kind },
          { title: 'SCHEMA', value: (one) => String(one.schema_version), right: true },
          { title: 'SIZE', value: (one) => showBytes(one.bytes), right: true },
          ...(verify
            ? [
                {
                  title: 'STATE',
                  value: (one: (typeof listed.backups)[number]) => (one.damage ? 'DAMAGED' : 'whole'),
                  style: (one: (typeof listed.backups)[number]) => (one.damage ? ('red' as const) : ('green' as const)),
                },
              ]
            : []),
          { title: 'FILE', value: (one) => one.file },
        ],
        `There are no backups in ${listed.folder}.`,
      )
      for (const one of damaged) note(`${paint('red', 'damaged', process.stderr)} ${plain(one.name)}: ${plain(one.damage ?? '')}`)
    })
}

/** One line that is written over, for a person who waits. */
function progress(json: boolean | undefined): Pick<MaintenanceOrder, 'onProgress'> {
  if (json || !process.stderr.isTTY) return {}
  process.once('exit', () => process.stderr.write('\r\u001b[K'))
  return { onProgress: (text) => void process.stderr.write(`\r\u001b[K${paint('dim', plain(text), process.stderr)}`) }
}

function showBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  const units = ['kB', 'MB', 'GB', 'TB']
  const step = Math.min(units.length, Math.floor(Math.log10(bytes) / 3))
  return `${Number((bytes / 1000 ** step).toPrecision(3))} ${units[step - 1]}`
}
