// Users and groups as one step.

import type { GroupRequest, UserRequest, UsersStep } from '../plan/plan.ts'
import type { User } from './description.ts'
import type { SelectedDescription } from './select-description.ts'
import { deriveSalt, sha512Crypt } from './sha-crypt.ts'

/** The step that makes the users, where there are some. */
export function accountSteps({ users, name }: SelectedDescription): UsersStep[] {
  const [first] = users
  if (first === undefined) return []
  return [
    {
      kind: 'users',
      title: 'users',
      where: first.where,
      phase: 'config',
      users: users.map(user => requestOf(user, name)),
    },
  ]
}

function requestOf(user: User, imageName: string): UserRequest {
  const { id, home, realName, shell } = user
  return {
    name: user.name.value,
    passwordHash: passwordHash(user, imageName),
    ...(id === undefined ? {} : { id }),
    ...(home === undefined ? {} : { home }),
    ...(realName === undefined ? {} : { realName }),
    ...(shell === undefined ? {} : { shell }),
    groups: user.groups.map((group): GroupRequest => group),
    where: user.where,
  }
}

/** A plain password is hashed with a salt from the names of image and user: equal builds give equal files. */
function passwordHash({ name, password, passwordFormat }: User, imageName: string): string {
  return passwordFormat === 'plain'
    ? sha512Crypt(password.value, deriveSalt('kauri password', imageName, name.value))
    : password.value
}
