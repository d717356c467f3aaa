import { type HostScript, LabError, type ScriptParameter, scriptRoutes } from '@virtualpytest/shared'
import { sql } from 'kysely'
import type { Database } from '../../db/database.ts'
import { rowsOf } from '../../db/query.ts'
import type { Mount } from '../../http/mount.ts'
import { analyzeScript, listScripts } from './script-folder.ts'

/** Scripts written by a language model are not part of this product; the protocol's lists stay. */
const none: string[] = []

export function mountScriptRoutes(mount: Mount, { db, scriptsDir }: { db: Database; scriptsDir: string }): void {
  mount(scriptRoutes.list, async ({ caller }) => {
    const hosts = await scriptsOfHosts(caller.teamId)
    const names = [
      ...new Set([
        ...(await listScripts(scriptsDir)).keys(),
        ...hosts.flatMap((host) => host.scripts.map((script) => script.name)),
      ]),
    ].sort()
    if (names.length === 0) throw new LabError('not_found', { text: 'Neither the server nor a host of this team has scripts.' })
    return {
      success: true,
      scripts: names,
      count: names.length,
      scripts_directory: 'test_scripts',
      regular_scripts: names,
      ai_scripts: none,
      ai_test_cases_info: none,
      details: names.map((name) => ({
        name,
        hosts: hosts.filter((host) => host.scripts.some((script) => script.name === name)).map((host) => host.name),
      })),
    }
  })

  mount(scriptRoutes.analyze, async ({ body, caller }) => {
    const name = body.script_name.replace(/\.py$/, '')
    const parameters = (await analyzeScript(scriptsDir, name)) ?? (await parametersOnHosts(caller.teamId, name))
    if (!parameters) throw new LabError('script_not_found', { text: `There is no script "${name.slice(0, 100)}".` })
    return { success: true, parameters, script_name: body.script_name, has_parameters: parameters.length > 0 }
  })

  function scriptsOfHosts(teamId: string): Promise<{ name: string; scripts: HostScript[] }[]> {
    return rowsOf(
      db,
      sql<{
        name: string
        scripts: HostScript[]
      }>`select name, scripts from hosts where team_id = ${teamId} and status <> 'retired' order by name`,
    )
  }

  async function parametersOnHosts(teamId: string, name: string): Promise<ScriptParameter[] | undefined> {
    const scripts = (await scriptsOfHosts(teamId)).flatMap((host) => host.scripts)
    return scripts.find((script) => script.name === name)?.parameters
  }
}
