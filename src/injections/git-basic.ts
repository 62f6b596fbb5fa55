import type { Kind } from '../forms/kind.ts'
import { z } from '../forms/zod.ts'
import { basicUser, basicValue } from './basic-value.ts'
import type { Injection } from './injection.ts'

const schema = z
  .strictObject({
    kind: z.literal('git-basic'),
    user: basicUser.default('x-access-token').meta({
      description: 'user name: `x-access-token` for GitHub, `oauth2` for GitLab, `x-token-auth` for Bitbucket',
    }),
  })
  .meta({ description: 'a token for git over HTTPS: `Authorization: Basic base64(x-access-token:CREDENTIAL)`' })

/** Smart HTTP takes a token as the password of a user whose name says that it is one. */
export const gitBasic: Kind<typeof schema, undefined, Injection> = {
  schema,
  build: ({ user }) => ({
    slots: [{ in: 'header', name: 'Authorization', prefix: 'Basic ' }],
    inject: ({ fields, query }, { secret }) => ({
      fields: [...fields, 'Authorization', basicValue(user, secret.reveal())],
      query,
    }),
  }),
}
