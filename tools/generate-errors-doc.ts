// docs/errors.md: every error code, from the tables in the contract.
import { STATUS_CODES } from 'node:http'
import { errorCodes, runErrorCodes } from '@virtualpytest/shared'
import { escapeCell } from './markdown.ts'

export async function generate(): Promise<Record<string, string>> {
  const rows = Object.entries(errorCodes)
    .toSorted(([a, one], [b, other]) => one.status - other.status || a.localeCompare(b))
    .map(([code, { status, text }]) => `| \`${code}\` | ${status} ${STATUS_CODES[status] ?? ''} | ${escapeCell(text)} |`)
  const text = `# Error codes

<!-- Written by tools/generate-errors-doc.ts from shared/src/errors.ts and shared/src/runs/run.states.ts. -->

Every failure is answered with the same JSON object:

\`\`\`json
{
  "success": false,
  "error": "There is no such device in this team.",
  "message": "There is no such device in this team.",
  "code": "device_not_found",
  "request_id": "0199c1de-2f6a-7c3a-9c0e-5f1f6a3c9a11"
}
\`\`\`

\`code\` is stable and meant for programs. The sentence is meant for people and may be more precise than the one below.
\`request_id\` finds the request in the log of the server. The status is the usual one; a few routes of the original
protocol answer a code with another status, which their own documentation says.

| Code | Status | Sentence |
|---|---|---|
${rows.join('\n')}

## Why a run ended without a verdict

A run that ends in the state \`error\` names one of these in \`error_code\`, with a sentence for people beside it:
${runErrorCodes.map((code) => `\`${code}\``).join(', ')}.
`
  return { 'docs/errors.md': text }
}
