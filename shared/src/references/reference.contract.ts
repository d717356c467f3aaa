import { z } from 'zod'
import {
  Area,
  DeviceTarget,
  DeviceTargetQuery,
  defineDeviceCall,
  deviceCallFailures,
  FileName,
  hostAnswer,
} from '../device-calls/index.ts'
import { TeamQuery, Timestamp } from '../ids.ts'
import { defineRoutes } from '../route.ts'

export const ReferenceType = z.enum(['reference_image', 'reference_text'])
export type ReferenceType = z.infer<typeof ReferenceType>

/** Something stored that a verification compares with: a picture, or a text and where it is expected. */
export const Reference = z
  .object({
    id: z.uuid(),
    name: z.string(),
    userinterface_name: z.string(),
    userinterface_id: z.uuid().nullable(),
    device_model: z.string().nullable(),
    reference_type: ReferenceType,
    area: z.looseObject({}).nullable().describe('rectangle of a 1280x720 picture; a text reference also holds its `text`'),
    r2_path: z.string().nullable(),
    r2_url: z.string().nullable().describe('where the picture is: at this server, or where an original host put it'),
    team_id: z.uuid(),
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .meta({ id: 'Reference' })
export type Reference = z.infer<typeof Reference>

/** The pictures a batch names, by that name: the server hands them to agents, so that any host can compare them. */
export const HostReferences = z
  .record(z.string(), z.object({ data: z.string().describe('base64'), area: Area.nullable() }))
  .meta({ id: 'HostReferences' })
export type HostReferences = z.infer<typeof HostReferences>

/** A picture of the host that is called: its address there or on this server. Other addresses are refused. */
export const ImageSource = z.string().min(1).max(4000)

const success = z.literal(true)

export const referenceRoutes = defineRoutes({
  cropImage: defineDeviceCall('/server/verification/image/cropImage', {
    effect: 'reads',
    access: 'tester',
    summary: 'Cut a part out of a picture of a host',
    fields: {
      area: Area,
      image_source_url: ImageSource,
      reference_name: FileName.nullish(),
      userinterface_name: FileName.nullish(),
    },
    answer: {
      message: z.string(),
      image_cropped_path: z.string(),
      image_cropped_url: z.string(),
      filename: z.string(),
      area: z.looseObject({}),
      source_was_url: z.boolean(),
    },
  }),
  processImage: defineDeviceCall('/server/verification/image/processImage', {
    effect: 'reads',
    access: 'tester',
    summary: 'Filter a picture of a host: without background, in gray or black and white, cut to its content',
    fields: {
      image_source_url: ImageSource,
      remove_background: z.boolean().default(false),
      image_filter: z.string().max(50).default('none'),
      autocrop: z.boolean().default(false),
    },
    answer: {
      message: z.string(),
      image_filtered_path: z.string(),
      image_filtered_url: z.string(),
      filename: z.string(),
      operations: z.looseObject({}),
    },
  }),
  detectText: defineDeviceCall('/server/verification/text/detectText', {
    effect: 'reads',
    access: 'tester',
    summary: 'Read the text in a picture of a host',
    fields: { image_source_url: ImageSource, area: Area.nullish(), image_filter: z.string().max(50).nullish() },
    answer: {
      extracted_text: z.string(),
      confidence: z.number().nullish(),
      language: z.string().nullish(),
      font_size: z.number().nullish(),
      image_textdetected_path: z.string().nullish(),
      image_textdetected_url: z.string().nullish(),
    },
  }),
  saveImage: {
    method: 'POST',
    path: '/server/verification/image/saveImage',
    access: 'tester',
    summary: 'Keep a picture of a host as a reference of a user interface',
    query: DeviceTargetQuery,
    body: DeviceTarget.extend({
      image_source_url: ImageSource,
      reference_name: FileName,
      userinterface_name: FileName,
      area: Area.nullish(),
      reference_type: z.string().max(50).nullish(),
    }),
    answers: {
      200: hostAnswer({
        message: z.string(),
        reference_name: z.string(),
        r2_url: z.string().nullish(),
        r2_path: z.string().nullish(),
        reference_id: z.uuid(),
        reference: Reference,
      }),
    },
    failures: deviceCallFailures,
  },
  saveText: {
    method: 'POST',
    path: '/server/verification/text/saveText',
    access: 'tester',
    summary: 'Keep a text and its place as a reference of a user interface',
    query: DeviceTargetQuery,
    body: DeviceTarget.extend({
      text: z.string().min(1).max(10_000),
      reference_name: FileName,
      userinterface_name: FileName,
      area: Area.nullish(),
      image_textdetected_path: z.string().max(4000).nullish(),
    }),
    answers: {
      200: hostAnswer({
        message: z.string(),
        reference_name: z.string(),
        reference_id: z.uuid(),
        text_data: z.looseObject({}),
        reference: Reference,
      }),
    },
    failures: deviceCallFailures,
  },
  list: {
    method: 'POST',
    path: '/server/verification/getAllReferences',
    access: 'viewer',
    summary: 'References of the team, newest first; filters in the query or the body',
    query: TeamQuery.extend({ userinterface_name: z.string().max(200).optional(), device_model: z.string().max(200).optional() }),
    body: z.object({ userinterface_name: z.string().max(200).nullish(), device_model: z.string().max(200).nullish() }).nullish(),
    answers: { 200: z.object({ success, references: z.array(Reference) }) },
  },
  read: {
    method: 'GET',
    path: '/server/verification/getAllReferences',
    access: 'viewer',
    summary: 'References of the team, newest first',
    query: TeamQuery.extend({ userinterface_name: z.string().max(200).optional(), device_model: z.string().max(200).optional() }),
    answers: { 200: z.object({ success, references: z.array(Reference) }) },
  },
  image: {
    method: 'GET',
    path: '/server/references/{reference_id}/image',
    access: 'viewer',
    byCookie: true,
    summary: 'The picture of a reference',
    params: z.object({ reference_id: z.uuid() }),
    query: TeamQuery,
    answers: { 200: null },
    produces: 'image/png',
    failures: [404, 503],
  },
})
