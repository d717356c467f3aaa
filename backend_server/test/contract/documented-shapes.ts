import assert from 'node:assert/strict'

/** Answers as the protocol document (api-core.md) describes them, field by field; a host may add more. */
export type Shape = Record<string, 'string' | 'number' | 'boolean' | 'object' | 'array' | 'any' | 'string?' | 'object?'>

export function assertShape(body: Record<string, unknown>, shape: Shape, what: string): void {
  for (const [name, type] of Object.entries(shape)) {
    const value = body[name]
    const found = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value
    if (type === 'any') assert.ok(name in body, `${what} lacks ${name}`)
    else if (type.endsWith('?')) assert.ok(found === 'null' || `${found}?` === type, `${name} of ${what} is ${found}`)
    else assert.equal(found, type, `${name} of ${what}`)
  }
}

/** 5: what a batch answers when it has begun, and how far it is. */
export const executionStart: Shape = { success: 'boolean', execution_id: 'string', message: 'string' }
export const executionStatus: Shape = {
  success: 'boolean',
  execution_id: 'string',
  status: 'string',
  result: 'object?',
  error: 'string?',
  progress: 'number',
  message: 'string',
  elapsed_time_ms: 'number',
}
const counts: Shape = {
  success: 'boolean',
  total_count: 'number',
  passed_count: 'number',
  failed_count: 'number',
  results: 'array',
}
export const actionsResult: Shape = {
  ...counts,
  action_screenshots: 'array',
  before_action_screenshot: 'string?',
  message: 'string',
  error: 'string?',
  execution_time_ms: 'number',
  main_actions_succeeded: 'boolean',
  output_data: 'object',
  logs: 'string',
}
export const actionResult: Shape = {
  success: 'boolean',
  message: 'string',
  error: 'string?',
  resultType: 'string',
  execution_time_ms: 'number',
  action_category: 'string',
  screenshot_path: 'string?',
  action_timestamp: 'number',
  iterations: 'any',
  action_details: 'object',
  output_data: 'object',
}
export const verificationsResult: Shape = {
  ...counts,
  verification_screenshots: 'array',
  verification_evidence_list: 'array',
  message: 'string',
  logs: 'string',
}
export const verificationResult: Shape = {
  success: 'boolean',
  message: 'string',
  error: 'string?',
  threshold: 'any',
  matching_result: 'any',
  resultType: 'string',
  sourceImageUrl: 'string?',
  referenceImageUrl: 'string?',
  resultOverlayUrl: 'string?',
  extractedText: 'string?',
  searchedText: 'string?',
  imageFilter: 'string?',
  detectedLanguage: 'string?',
  languageConfidence: 'any',
  search_term: 'string?',
  wait_time: 'any',
  total_matches: 'number',
  matches: 'array',
  verification_type: 'string',
  execution_time_ms: 'number',
  details: 'object',
  screenshot_path: 'string?',
  verification_evidence: 'object',
  output_data: 'object',
}
