import { z } from 'zod'
import type { Clock, CommandResult } from '../../drivers/driver.ts'
import type { Device } from '../devices/index.ts'
import type { CheckContext } from '../verification/index.ts'
import type { Work } from './executions.ts'

export const Verification = z.looseObject({
  command: z.string().max(200).nullish(),
  verification_type: z.string().max(100).nullish(),
  params: z.looseObject({}).nullish(),
  userinterface_name: z.string().max(300).nullish(),
  verification_pass_condition: z.enum(['all', 'any']).nullish(),
})
export type Verification = z.infer<typeof Verification>

export interface VerificationBatch {
  deviceFor: (kind: string) => Device
  verifications: readonly Verification[]
  context: CheckContext
  clock: Clock
}

type CheckResult = Record<string, unknown> & { success: boolean; message: string }

const filled = (value: unknown): boolean => typeof value === 'string' && value.trim() !== ''

/** What hosts drop without a word: checks that say nothing to check. */
function isRunnable({ command, verification_type, params }: Verification): boolean {
  if (!filled(command)) return false
  if (verification_type === 'image') return filled(params?.image_path)
  if (verification_type === 'text') return filled(params?.text)
  if (verification_type === 'adb') return filled(params?.search_term)
  return true
}

/** All checks run, also after a failure: what is wrong with a screen is rarely one thing. */
export function verificationBatch(batch: VerificationBatch): Work {
  const checks = batch.verifications.filter(isRunnable)
  const condition = batch.verifications[0]?.verification_pass_condition ?? 'all'
  const userinterface = batch.verifications[0]?.userinterface_name
  return async (tell, signal) => {
    const results: CheckResult[] = []
    const logs: string[] = []
    for (const [index, check] of checks.entries()) {
      signal.throwIfAborted()
      const kind = check.verification_type ?? ''
      tell(Math.round((index / checks.length) * 100), `check ${index + 1} of ${checks.length}: ${check.command}`)
      const startedAt = batch.clock.now()
      const context = { ...batch.context, userinterface: check.userinterface_name ?? userinterface }
      const call = { command: check.command ?? '', kind, params: { ...check.params }, context }
      const result = await batch.deviceFor(kind).check(call, signal)
      results.push(describe(result, kind, check, Math.round(batch.clock.now() - startedAt)))
      logs.push(`${kind} ${check.command}: ${result.success ? 'passed' : 'failed'}: ${result.message}`)
    }
    const passed = results.filter((one) => one.success).length
    const success = results.length > 0 && (condition === 'any' ? passed > 0 : passed === results.length)
    const message = results.length === 0 ? 'There was nothing to check' : `${passed} of ${results.length} checks passed`
    return {
      success,
      message,
      ...(!success && { error: results.find((one) => !one.success)?.message ?? message }),
      total_count: results.length,
      passed_count: passed,
      failed_count: results.length - passed,
      results,
      verification_screenshots: results.map((one) => one.screenshot_path).filter((path) => typeof path === 'string'),
      verification_evidence_list: results.map((one) => one.verification_evidence),
      logs: logs.join('\n'),
    }
  }
}

function describe(result: CommandResult, kind: string, check: Verification, ms: number): CheckResult {
  const { success, message, sourceUrl = null, referenceUrl = null, overlayUrl = null, output_data, match, ...rest } = result
  return {
    success,
    message,
    error: success ? null : message,
    threshold: rest.userThreshold ?? null,
    matching_result: rest.matchingResult ?? null,
    resultType: success ? 'PASS' : 'FAIL',
    sourceImageUrl: sourceUrl,
    referenceImageUrl: referenceUrl,
    resultOverlayUrl: overlayUrl,
    extractedText: rest.extractedText ?? null,
    searchedText: rest.searchedText ?? null,
    imageFilter: rest.imageFilter ?? null,
    detectedLanguage: rest.detectedLanguage ?? null,
    languageConfidence: rest.languageConfidence ?? null,
    search_term: rest.search_term ?? null,
    wait_time: rest.wait_time ?? null,
    total_matches: match ? 1 : 0,
    matches: match ? [match] : [],
    verification_type: kind,
    execution_time_ms: ms,
    details: { command: check.command, params: check.params ?? {}, ...rest },
    screenshot_path: sourceUrl,
    verification_evidence: { type: kind, sourceUrl, referenceUrl, overlayUrl, success },
    output_data: output_data ?? {},
  }
}
