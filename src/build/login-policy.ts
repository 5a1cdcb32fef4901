// What a distribution says about new accounts in /etc/login.defs (login.defs(5)) and /etc/default/useradd (useradd(8)).

/** Ranges, ages and defaults for new accounts. */
export interface LoginPolicy {
  readonly firstUserId: number
  readonly lastUserId: number
  readonly firstGroupId: number
  readonly lastGroupId: number
  /** Days; undefined leaves the field of shadow(5) empty. */
  readonly minimumDays: number | undefined
  readonly maximumDays: number | undefined
  readonly warningDays: number | undefined
  readonly homeMode: number
  /** A user without groups gets a group of its own name. */
  readonly ownGroups: boolean
  /** Primary group of users that get none of their own. */
  readonly sharedGroupId: number
  /** Directory above the homes. */
  readonly homes: string
  readonly shell: string
  /** Directory whose contents a new home starts with. */
  readonly skeleton: string
}

/** Reads both files; what they do not say is as shadow-utils and Debian have it. */
export function readLoginPolicy(loginDefs: string, useraddDefaults: string): LoginPolicy {
  const login = parseSettings(loginDefs, /^\s*(\w+)\s+"?([^"\s]*)/)
  const useradd = parseSettings(useraddDefaults, /^\s*(\w+)=["']?([^"'\s]*)/)
  const number = (name: string, fallback: number): number => integer(login.get(name)) ?? fallback
  return {
    firstUserId: number('UID_MIN', 1000),
    lastUserId: number('UID_MAX', 60000),
    firstGroupId: number('GID_MIN', 1000),
    lastGroupId: number('GID_MAX', 60000),
    minimumDays: days(login.get('PASS_MIN_DAYS') ?? '0'),
    maximumDays: days(login.get('PASS_MAX_DAYS') ?? '99999'),
    warningDays: days(login.get('PASS_WARN_AGE') ?? '7'),
    homeMode: octal(login.get('HOME_MODE')) ?? 0o777 & ~(octal(login.get('UMASK')) ?? 0o022),
    ownGroups: (login.get('USERGROUPS_ENAB') ?? 'yes') === 'yes',
    sharedGroupId: integer(useradd.get('GROUP')) ?? 100,
    homes: useradd.get('HOME') || '/home',
    shell: useradd.get('SHELL') || '/bin/sh',
    skeleton: useradd.get('SKEL') || '/etc/skel',
  }
}

function parseSettings(text: string, form: RegExp): Map<string, string> {
  const settings = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, name, value] = form.exec(line) ?? []
    if (name !== undefined && value !== undefined) settings.set(name, value)
  }
  return settings
}

/** Decimal, or octal and hexadecimal as C writes them. */
function integer(text: string | undefined): number | undefined {
  if (text === undefined || !/^(?:0x[0-9a-f]+|\d+)$/i.test(text)) return undefined
  return /^0[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number(text)
}

function octal(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined
}

/** -1 means that the rule is off. */
function days(text: string): number | undefined {
  return integer(text)
}
