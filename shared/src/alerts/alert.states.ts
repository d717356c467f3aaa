/** An alert ends once; `checked` and `discarded` are marks beside its state. */
export const alertMoves = { active: ['resolved'], resolved: [] } as const
export type AlertStatus = keyof typeof alertMoves
export const alertTypes = ['blackscreen', 'freeze', 'errors', 'audio_loss', 'macroblocks'] as const
export type AlertType = (typeof alertTypes)[number]
