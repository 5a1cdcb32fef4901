// Creates and changes users in the root's own account files, and gives them their homes.

import { constants } from 'node:fs'
import {
  makeDirectoriesInRoot,
  type NewFile,
  openPlace,
  readTextInRoot,
  writeFileInRoot,
} from '../../native/in-root.ts'
import { native } from '../../native/native.ts'
import type { UsersStep } from '../../plan/plan.ts'
import type { OpenTree } from '../../rootfs/rootfs.ts'
import { type AccountTexts, editAccounts } from '../account-files.ts'
import { parseColonTable } from '../colon-table.ts'
import { permissionBits } from '../context-scan.ts'
import { rootOwner } from '../copy-entries.ts'
import { setUpHome } from '../home-directory.ts'
import { readLoginPolicy } from '../login-policy.ts'
import {
  epochOf,
  nothingInstalled,
  type PreparedStep,
  type StepContext,
  type StepGround,
} from './step.ts'

const secondsPerDay = 86_400

/** @throws DESCRIPTION_INVALID for ids that are taken */
export function prepareUsers(step: UsersStep, context: StepContext): PreparedStep {
  return {
    // The day of the last change of a password; where the packages decide it, the steps before name it already.
    reads: { epochDay: toDays(context.options.sourceDateEpoch) ?? null },
    perform: ground => setUsers(step, context, ground),
  }
}

async function setUsers(
  step: UsersStep,
  { options }: StepContext,
  ground: StepGround,
): Promise<typeof nothingInstalled> {
  using tree = ground.root.open()
  const policy = readLoginPolicy(readText(tree, 'login.defs'), readText(tree, 'default/useradd'))
  const before: AccountTexts = {
    passwd: readText(tree, 'passwd'),
    shadow: readText(tree, 'shadow'),
    group: readText(tree, 'group'),
    gshadow: readText(tree, 'gshadow'),
  }
  const today = toDays(epochOf(options, ground) || undefined)
  const { texts, homes, warnings } = editAccounts(before, step.users, { policy, today })
  for (const message of warnings) options.emit({ kind: 'warning', message, where: step.where })
  writeAccounts(tree, before, texts)
  for (const home of homes) await setUpHome(tree, home, policy)
  return nothingInstalled
}

/** The field of shadow(5) is empty, not 0, without a date: 0 asks for a new password at the first login. */
function toDays(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.floor(seconds / secondsPerDay)
}

function readText(tree: OpenTree, name: string): string {
  return readTextInRoot(tree.fd, `/etc/${name}`) ?? ''
}

/** Replaced files keep their owner and mode; new ones get those of the distributions, whose group shadow may read hashes. */
function writeAccounts(tree: OpenTree, before: AccountTexts, after: AccountTexts): void {
  makeDirectoriesInRoot(tree.fd, '/etc', { mode: 0o755, ...rootOwner })
  const shadowGroup = Number(parseColonTable(after.group).get('shadow')?.[1] ?? 0)
  const secret = { mode: shadowGroup === 0 ? 0o600 : 0o640, uid: 0, gid: shadowGroup }
  const open = { mode: 0o644, ...rootOwner }
  const newFiles = { passwd: open, group: open, shadow: secret, gshadow: secret }
  for (const name of ['passwd', 'group', 'shadow', 'gshadow'] as const)
    if (after[name] !== before[name])
      writeFileInRoot(
        tree.fd,
        `/etc/${name}`,
        after[name],
        attributesOf(tree, name) ?? newFiles[name],
      )
}

function attributesOf(tree: OpenTree, name: string): NewFile | undefined {
  using place = openPlace(tree.fd, `/etc/${name}`)
  const old = native().statAt(place.directoryFd, name)
  if (old === undefined || (old.mode & constants.S_IFMT) !== constants.S_IFREG) return undefined
  return { mode: old.mode & permissionBits, uid: old.uid, gid: old.gid }
}
