// Who a container's process is: docker's `USER[:GROUP]` by name or number, looked up in the image's own files
// (image-spec v1.1.1 config.md, `User`).

import { KauriError } from '../core/errors.ts'

export interface ContainerUser {
  readonly uid: number
  readonly gid: number
  readonly additionalGids: readonly number[]
  /** From passwd; `/` where the user is not in it. */
  readonly home: string
}

/** Text of the image's files; undefined where the image has none. */
export interface UserFiles {
  readonly passwd?: string | undefined
  readonly group?: string | undefined
}

interface PasswdEntry {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

interface GroupEntry {
  readonly name: string
  readonly gid: number
  readonly members: readonly string[]
}

/** Ids above this are no ids: -1 means "leave it" to chown and setresuid. */
const maxId = 0xffff_fffe

/** @throws USAGE for a user or group that the image does not know and that is no number */
export function resolveContainerUser(spec: string, files: UserFiles): ContainerUser {
  const [userPart = '', groupPart, ...rest] = spec.split(':')
  if (rest.length > 0 || groupPart === '')
    throw new KauriError('USAGE', `${JSON.stringify(spec)} is no user: write USER or USER:GROUP`)
  const users = parsePasswd(files.passwd ?? '')
  const groups = parseGroups(files.group ?? '')
  const user = findUser(userPart === '' ? '0' : userPart, users)
  const isMember = ({ members }: GroupEntry): boolean =>
    user.name !== undefined && members.includes(user.name)
  const gid = groupPart === undefined ? user.gid : findGroup(groupPart, groups)
  // As docker: a group that is named stands alone, and the primary group is among the others (CVE-2022-36109).
  const others = groupPart === undefined ? groups.filter(isMember).map(group => group.gid) : []
  return {
    uid: user.uid,
    gid,
    additionalGids: [...new Set([gid, ...others])],
    home: user.home,
  }
}

/** Groups by name or number, as `--group-add` takes them. @throws USAGE for a name that the image does not know */
export function resolveGroups(words: readonly string[], files: UserFiles): readonly number[] {
  const groups = parseGroups(files.group ?? '')
  return words.map(word => findGroup(word, groups))
}

function findUser(
  text: string,
  users: readonly PasswdEntry[],
): { uid: number; gid: number; home: string; name?: string } {
  const number = parseId(text)
  const known = users.find(({ name, uid }) => name === text || uid === number)
  if (known !== undefined) return known
  if (number !== undefined) return { uid: number, gid: 0, home: '/' }
  throw new KauriError('USAGE', `unable to find user ${text}: no matching entries in passwd file`, {
    hint: 'name a user of its /etc/passwd, or a number',
  })
}

function findGroup(text: string, groups: readonly GroupEntry[]): number {
  const gid = groups.find(({ name }) => name === text)?.gid ?? parseId(text)
  if (gid !== undefined) return gid
  throw new KauriError('USAGE', `unable to find group ${text}: no matching entries in group file`, {
    hint: 'name a group of its /etc/group, or a number',
  })
}

/** Digits only: what a lenient parser makes of `0x10`, `1e3` or ` 0` may be somebody else (CVE-2026-30892). */
function parseId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined
  const id = Number(text)
  return id <= maxId ? id : undefined
}

function parsePasswd(text: string): readonly PasswdEntry[] {
  return text.split('\n').flatMap(line => {
    const [name = '', , uidText = '', gidText = '', , home = ''] = line.split(':')
    const uid = parseId(uidText)
    const gid = parseId(gidText)
    return name === '' || uid === undefined || gid === undefined
      ? []
      : [{ name, uid, gid, home: home === '' ? '/' : home }]
  })
}

function parseGroups(text: string): readonly GroupEntry[] {
  return text.split('\n').flatMap(line => {
    const [name = '', , gidText = '', members = ''] = line.split(':')
    const gid = parseId(gidText)
    return name === '' || gid === undefined
      ? []
      : [{ name, gid, members: members.split(',').filter(Boolean) }]
  })
}
