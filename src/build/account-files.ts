// Edits passwd(5), shadow(5), group(5) and gshadow(5) as text: what is there stays as it is, byte by byte, but for the
// fields of the requested users. Pure, so no tool of the image is needed and equal inputs give equal bytes.

import { KauriError } from '../core/errors.ts'
import type { GroupRequest, UserRequest } from '../plan/plan.ts'
import { type ColonTable, parseColonTable } from './colon-table.ts'
import type { LoginPolicy } from './login-policy.ts'

/** The texts of the four files; '' where a file is missing. */
export interface AccountTexts {
  readonly passwd: string
  readonly shadow: string
  readonly group: string
  readonly gshadow: string
}

/** A home directory that belongs to a requested user. */
export interface Home {
  readonly path: string
  readonly uid: number
  readonly gid: number
  /** The user is new or the home was asked for: it is made where it is missing, and what root has in it is the user's. */
  readonly isAskedFor: boolean
  /** The user's id before the change, where that was another one. */
  readonly formerUid?: number
}

export interface AccountChange {
  readonly texts: AccountTexts
  readonly homes: readonly Home[]
  /** Things that are not as asked, as sentences. */
  readonly warnings: readonly string[]
}

interface Accounts {
  readonly passwd: ColonTable
  readonly shadow: ColonTable
  readonly group: ColonTable
  readonly gshadow: ColonTable
  readonly policy: LoginPolicy
  /** Days since 1970 for passwords set now; undefined leaves the field empty. */
  readonly today: number | undefined
  readonly warnings: string[]
}

/** Adds or changes users and their groups, in order. @throws DESCRIPTION_INVALID for ids that are taken and values that cannot be written */
export function editAccounts(
  texts: AccountTexts,
  users: readonly UserRequest[],
  { policy, today }: { readonly policy: LoginPolicy; readonly today: number | undefined },
): AccountChange {
  const accounts: Accounts = {
    passwd: parseColonTable(texts.passwd),
    shadow: parseColonTable(texts.shadow),
    group: parseColonTable(texts.group),
    gshadow: parseColonTable(texts.gshadow),
    policy,
    today,
    warnings: [],
  }
  const homes = users.map(user => setUser(accounts, user))
  return {
    texts: {
      passwd: accounts.passwd.format(),
      shadow: accounts.shadow.format(),
      group: accounts.group.format(),
      gshadow: accounts.gshadow.format(),
    },
    homes,
    warnings: accounts.warnings,
  }
}

function setUser(accounts: Accounts, user: UserRequest): Home {
  checkValues(user)
  for (const group of user.groups) ensureGroup(accounts, group, user)
  const home = accounts.passwd.has(user.name) ? changeUser(accounts, user) : addUser(accounts, user)
  setPassword(accounts, user)
  // Added to, never taken from: a group that a package put the user into stays.
  for (const group of user.groups.slice(1)) addMember(accounts, group.name, user.name)
  return home
}

function addUser(accounts: Accounts, user: UserRequest): Home {
  const { passwd, policy } = accounts
  const uid = user.id ?? nextId(passwd, policy.firstUserId, policy.lastUserId)
  checkIdFree(passwd, uid, user)
  const gid = primaryGroup(accounts, user, uid)
  const home = user.home ?? `${policy.homes}/${user.name}`
  const shell = user.shell ?? policy.shell
  passwd.set(user.name, ['x', String(uid), String(gid), user.realName ?? '', home, shell])
  return { path: home, uid, gid, isAskedFor: true }
}

function changeUser(accounts: Accounts, user: UserRequest): Home {
  const { passwd } = accounts
  const [, oldUid = '', oldGid = '', oldRealName = '', oldHome = '', oldShell = ''] =
    passwd.get(user.name) ?? []
  const uid = user.id ?? Number(oldUid)
  if (String(uid) !== oldUid) checkIdFree(passwd, uid, user)
  const [primary] = user.groups
  const gid = primary === undefined ? Number(oldGid) : groupId(accounts, primary.name)
  const home = user.home ?? oldHome
  passwd.set(user.name, [
    'x',
    String(uid),
    String(gid),
    user.realName ?? oldRealName,
    home,
    user.shell ?? oldShell,
  ])
  const former = String(uid) === oldUid ? {} : { formerUid: Number(oldUid) }
  return { path: home, uid, gid, isAskedFor: user.home !== undefined, ...former }
}

/** The first of the user's groups; without any, a group of the user's own or the shared one. */
function primaryGroup(accounts: Accounts, user: UserRequest, uid: number): number {
  const { group, policy } = accounts
  const [primary] = user.groups
  if (primary !== undefined) return groupId(accounts, primary.name)
  if (!policy.ownGroups) return policy.sharedGroupId
  if (group.has(user.name)) return groupId(accounts, user.name)
  const inRange = uid >= policy.firstGroupId && uid <= policy.lastGroupId
  const id = inRange && !idsOf(group).has(uid) ? uid : undefined
  ensureGroup(accounts, { name: user.name, ...(id === undefined ? {} : { id }) }, user)
  return groupId(accounts, user.name)
}

function ensureGroup(accounts: Accounts, request: GroupRequest, user: UserRequest): void {
  const { group, gshadow, policy } = accounts
  if (group.has(request.name)) {
    const id = groupId(accounts, request.name)
    if (request.id !== undefined && request.id !== id)
      accounts.warnings.push(
        `the group ${request.name} is there already with the id ${id}, which stays; ${request.id} was asked for`,
      )
    return
  }
  const id = request.id ?? nextId(group, policy.firstGroupId, policy.lastGroupId)
  checkIdFree(group, id, user)
  group.set(request.name, ['x', String(id), ''])
  gshadow.set(request.name, ['!', '', ''])
}

function groupId({ group }: Accounts, name: string): number {
  return Number(group.get(name)?.[1])
}

function setPassword(accounts: Accounts, user: UserRequest): void {
  const { shadow, policy, today } = accounts
  const lastChange = today === undefined ? '' : String(today)
  const old = shadow.get(user.name)
  const rest = old?.slice(2) ?? [
    text(policy.minimumDays),
    text(policy.maximumDays),
    text(policy.warningDays),
    '',
    '',
    '',
  ]
  if (old?.[0] === user.passwordHash) return
  shadow.set(user.name, [user.passwordHash, lastChange, ...rest])
}

function addMember(accounts: Accounts, groupName: string, user: string): void {
  for (const table of [accounts.group, accounts.gshadow]) {
    const fields = table.get(groupName)
    if (fields === undefined) continue
    const members = (fields[2] ?? '').split(',').filter(member => member !== '')
    if (!members.includes(user))
      table.set(groupName, [fields[0] ?? '', fields[1] ?? '', [...members, user].join(',')])
  }
}

/** As useradd(8) chooses: one above the highest of the range, or where that is full the lowest gap. */
function nextId(table: ColonTable, first: number, last: number): number {
  const taken = idsOf(table)
  const highest = [...taken]
    .filter(id => id >= first && id <= last)
    .reduce((a, b) => Math.max(a, b), first - 1)
  if (highest < last) return highest + 1
  for (let id = first; id <= last; id++) if (!taken.has(id)) return id
  throw new KauriError('DESCRIPTION_INVALID', `no id between ${first} and ${last} is free`)
}

/** passwd(5) and group(5) both have the id as the second field after the name. */
function idsOf(table: ColonTable): Set<number> {
  return new Set([...table.records()].map(([, fields]) => Number(fields[1])))
}

function checkIdFree(table: ColonTable, id: number, { name, where }: UserRequest): void {
  const owner = [...table.records()].find(([, fields]) => Number(fields[1]) === id)
  if (owner === undefined) return
  throw new KauriError(
    'DESCRIPTION_INVALID',
    `the id ${id} that ${name} asks for belongs to ${owner[0]}`,
    { hint: 'choose another id, or leave it out', where },
  )
}

function checkValues(user: UserRequest): void {
  const { name, passwordHash, home = '', realName = '', shell = '', groups, where } = user
  const texts = [name, passwordHash, home, realName, shell, ...groups.map(group => group.name)]
  // A colon or a line break would forge fields or whole accounts; a comma, members of a group.
  const broken =
    texts.find(value => /[:\n\0]/.test(value)) ?? [name].find(value => /[,/\s]/.test(value))
  if (broken !== undefined || name === '')
    throw new KauriError(
      'DESCRIPTION_INVALID',
      `"${(broken ?? name).replaceAll('\n', '\\n')}" cannot be written into the account files`,
      {
        hint: 'leave out colons and line breaks, and in names also commas, slashes and white space',
        where,
      },
    )
}

function text(value: number | undefined): string {
  return value === undefined ? '' : String(value)
}
