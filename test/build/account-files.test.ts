import test from 'ava'
import { type AccountTexts, editAccounts } from '../../src/build/account-files.ts'
import { readLoginPolicy } from '../../src/build/login-policy.ts'
import type { KauriError } from '../../src/core/errors.ts'
import type { UserRequest } from '../../src/plan/plan.ts'

const policy = readLoginPolicy('', '')

const minimal: AccountTexts = {
  passwd: 'root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n',
  shadow: 'root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n',
  group: 'root:x:0:\ndaemon:x:1:\nsudo:x:27:\nusers:x:100:\n',
  gshadow: 'root:*::\ndaemon:*::\nsudo:*::\nusers:*::\n',
}

function user(name: string, more: Partial<UserRequest> = {}): UserRequest {
  return { name, passwordHash: '$6$salt$hash', groups: [], ...more }
}

function edit(users: readonly UserRequest[], texts = minimal, today: number | undefined = 20000) {
  return editAccounts(texts, users, { policy, today })
}

test('a new user gets the next id, a group of its own and the defaults', t => {
  const { texts, homes } = edit([user('tux')])
  t.is(texts.passwd, `${minimal.passwd}tux:x:1000:1000::/home/tux:/bin/sh\n`)
  t.is(texts.shadow, `${minimal.shadow}tux:$6$salt$hash:20000:0:99999:7:::\n`)
  t.is(texts.group, `${minimal.group}tux:x:1000:\n`)
  t.is(texts.gshadow, `${minimal.gshadow}tux:!::\n`)
  t.deepEqual(homes, [{ path: '/home/tux', uid: 1000, gid: 1000, isAskedFor: true }])
})

test('the first group is primary, the others get the user as a member', t => {
  const groups = [{ name: 'staff', id: 50 }, { name: 'sudo' }, { name: 'games' }]
  const { texts } = edit([user('tux', { groups, id: 1500, shell: '/bin/bash', realName: 'Tux' })])
  t.regex(texts.passwd, /^tux:x:1500:50:Tux:\/home\/tux:\/bin\/bash$/m)
  t.regex(texts.group, /^staff:x:50:$/m)
  t.regex(texts.group, /^sudo:x:27:tux$/m)
  t.regex(texts.group, /^games:x:1000:tux$/m)
  t.regex(texts.gshadow, /^sudo:\*::tux$/m)
})

test('an existing user is changed, not doubled, and keeps what was not asked for', t => {
  const { texts, homes } = edit([user('root', { shell: '/bin/zsh' })])
  t.is(texts.passwd.match(/^root:/gm)?.length, 1)
  t.regex(texts.passwd, /^root:x:0:0:root:\/root:\/bin\/zsh$/m)
  t.regex(texts.shadow, /^root:\$6\$salt\$hash:20000:0:99999:7:::$/m)
  t.deepEqual(homes, [{ path: '/root', uid: 0, gid: 0, isAskedFor: false }])
})

test('changing users twice is the same as once', t => {
  const users = [user('tux', { groups: [{ name: 'users' }, { name: 'sudo' }] })]
  const once = edit(users).texts
  t.deepEqual(edit(users, once).texts, once)
})

test('a password that stays keeps the date of its last change', t => {
  const once = edit([user('tux')]).texts
  t.is(edit([user('tux')], once, 30000).texts.shadow, once.shadow)
})

test('without a date the field of the last change is empty, since 0 would expire the password', t => {
  const { texts } = editAccounts(minimal, [user('tux')], { policy, today: undefined })
  t.regex(texts.shadow, /^tux:\$6\$salt\$hash::0:99999:7:::$/m)
})

test('a changed id is told, so that the home can follow', t => {
  const once = edit([user('tux')]).texts
  const { homes } = edit([user('tux', { id: 2000 })], once)
  t.deepEqual(homes, [
    { path: '/home/tux', uid: 2000, gid: 1000, isAskedFor: false, formerUid: 1000 },
  ])
})

test('files that are missing come into being', t => {
  const { texts } = edit([user('tux')], { passwd: '', shadow: '', group: '', gshadow: '' })
  t.is(texts.passwd, 'tux:x:1000:1000::/home/tux:/bin/sh\n')
  t.is(texts.shadow, 'tux:$6$salt$hash:20000:0:99999:7:::\n')
  t.is(texts.group, 'tux:x:1000:\n')
  t.is(texts.gshadow, 'tux:!::\n')
})

test('comments, lines without an end and the last lines of NIS stay where they are', t => {
  const passwd = '# people\nroot:x:0:0:root:/root:/bin/bash\n+::::::\n'
  const { texts } = edit([user('tux')], { ...minimal, passwd })
  t.is(
    texts.passwd,
    '# people\nroot:x:0:0:root:/root:/bin/bash\ntux:x:1000:1000::/home/tux:/bin/sh\n+::::::\n',
  )
})

test('the next id is above the highest one, and a gap where the range is full', t => {
  const passwd = `${minimal.passwd}a:x:1000:100::/:/bin/sh\nz:x:60000:100::/:/bin/sh\n`
  const { texts } = edit([user('tux', { groups: [{ name: 'users' }] })], { ...minimal, passwd })
  t.regex(texts.passwd, /^tux:x:1001:100:/m)
})

test("a user's own group has the user's id where that is free, else the next one", t => {
  const group = `${minimal.group}other:x:1000:\n`
  t.regex(edit([user('tux')], { ...minimal, group }).texts.passwd, /^tux:x:1000:1001:/m)
  t.regex(edit([user('tux', { id: 7777 })]).texts.passwd, /^tux:x:7777:7777:/m)
})

test('a group that has another id than asked for stays, and that is told', t => {
  const { texts, warnings } = edit([user('tux', { groups: [{ name: 'users', id: 555 }] })])
  t.is(texts.group, minimal.group)
  t.is(warnings.length, 1)
  t.regex(warnings[0] ?? '', /users.*100.*555/)
})

for (const [what, request] of [
  ['an id of another user', user('tux', { id: 1 })],
  ['an id of another group', user('tux', { groups: [{ name: 'mine', id: 27 }] })],
  ['a line break in the real name', user('tux', { realName: 'x\nroot2:x:0:0::/:/bin/sh' })],
  ['a colon in the home', user('tux', { home: '/home/a:b' })],
  ['a colon in the name', user('tux:x:0:0')],
  ['a comma in the name', user('a,b')],
  ['no name', user('')],
] as const)
  test(`${what} is refused`, t => {
    const error = t.throws<KauriError>(() => edit([request]))
    t.is(error?.code, 'DESCRIPTION_INVALID')
    t.truthy(error?.hint)
  })

test('login.defs and useradd decide ranges, ages, homes and shells', t => {
  const read = readLoginPolicy(
    '# a comment\nUID_MIN  500\nUID_MAX\t700\nUMASK 027\nPASS_MAX_DAYS -1\nUSERGROUPS_ENAB no\n',
    'SHELL="/bin/bash"\nHOME=/srv/home\nGROUP=7\n',
  )
  t.like(read, {
    firstUserId: 500,
    lastUserId: 700,
    homeMode: 0o750,
    maximumDays: undefined,
    ownGroups: false,
    shell: '/bin/bash',
    homes: '/srv/home',
    sharedGroupId: 7,
  })
  const { texts } = editAccounts(minimal, [user('tux')], { policy: read, today: 1 })
  t.regex(texts.passwd, /^tux:x:500:7::\/srv\/home\/tux:\/bin\/bash$/m)
  t.regex(texts.shadow, /^tux:\S+:1:0::7:::$/m)
})

test('HOME_MODE wins over the umask', t => {
  t.is(readLoginPolicy('UMASK 022\nHOME_MODE 0700\n', '').homeMode, 0o700)
  t.is(policy.homeMode, 0o755)
})
