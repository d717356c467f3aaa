/** An alert ends once; `checked` and `discarded` are marks beside its state. */
export const alertMoves = { active: ['resolved'], resolved: [] } as const
export type AlertStatus = keyof typeof alertMoves
export const alertTypes = ['blackscreen', 'freeze', 'errors', 'audio_loss', 'macroblocks'] as const
export type AlertType = (typeof alertTypes)[number]

/**
 * Why an alert ended: its host saw the end; nobody watched the device any more, or it gave no picture any more; its host
 * reported a newer one of the same kind; the device was gone for ten minutes.
 */
export const alertEndReasons = ['seen', 'stream_stopped', 'stream_lost', 'superseded', 'device_gone'] as const
export type AlertEndReason = (typeof alertEndReasons)[number]
