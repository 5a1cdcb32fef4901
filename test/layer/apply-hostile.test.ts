// Archives that want out of the root, or more than there is. Each names the class of attack it stands for; all of them
// run in every mode, and the directory beside the root must look afterwards as before.

import { spawnSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import test from 'ava'
import { defaultArchiveLimits } from '../../src/layer/layer.ts'
import { native } from '../../src/native/native.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { applyTo, listTree, paxEntry, type RawEntry, rawEntry, tarOf } from '../helpers/tar.ts'

const modes = ['ordinary', 'delete', 'overlay'] as const

/** A root with a secret beside it, and what reaches for it. */
function makeVictim(): { scratch: Scratch; root: string; outside: string } {
  const scratch = makeScratch()
  mkdirSync(scratch.at('root'))
  mkdirSync(scratch.at('outside', 'directory'), { recursive: true })
  writeFileSync(scratch.at('outside', 'secret'), 'host', { mode: 0o600 })
  return { scratch, root: scratch.at('root'), outside: scratch.at('outside') }
}

interface Attack {
  readonly title: string
  /** Gets a path that leads out of the root from its top, and the absolute path of the same. */
  readonly tar: (up: string, absolute: string) => Buffer
  /** The message that refuses it; undefined: it is contained. */
  readonly refused?: RegExp
}

const attacks: readonly Attack[] = [
  {
    title: 'dots in a name (zip-slip, CVE-2007-4559)',
    tar: up => tarOf({ name: `${up}/secret`, body: 'evil' }),
    refused: /leads out of the root/,
  },
  {
    title: 'dots after a directory',
    tar: up => tarOf({ name: `a/../${up}/secret`, body: 'evil' }),
    refused: /leads out of the root/,
  },
  {
    title: 'dots in a pax path',
    tar: up => tarOf(paxEntry({ path: `./${up}/secret` }), { name: 'a', body: 'evil' }),
    refused: /leads out of the root/,
  },
  {
    title: "dots in GNU's long name",
    tar: up =>
      tarOf(
        { name: '././@LongLink', type: 'L', body: `${up}/secret\0` },
        { name: 'a', body: 'evil' },
      ),
    refused: /leads out of the root/,
  },
  {
    title: 'an absolute name (CVE-2016-6321 class)',
    tar: (_, absolute) => tarOf({ name: `${absolute}/secret`, body: 'evil' }),
  },
  {
    title: 'a write through an absolute link (CVE-2018-15664, CVE-2021-29136)',
    tar: (_, absolute) =>
      tarOf({ name: 'l', type: '2', link: absolute }, { name: 'l/secret', body: 'evil' }),
    refused: /link that leads nowhere/,
  },
  {
    title: 'a write through a link upwards (CVE-2018-20834, CVE-2021-32803)',
    tar: up => tarOf({ name: 'l', type: '2', link: up }, { name: 'l/secret', body: 'evil' }),
    refused: /link that leads nowhere/,
  },
  {
    title: 'a write through two links, each harmless alone',
    tar: up =>
      tarOf(
        { name: 'a/b/', type: '5' },
        { name: 'a/b/l', type: '2', link: '..' },
        { name: 'm', type: '2', link: `a/b/l/${up}/..` },
        { name: 'm/outside/secret', body: 'evil' },
      ),
    refused: /link that leads nowhere/,
  },
  {
    title: 'a directory that becomes a link between two of its files (CVE-2021-37701)',
    tar: (_, absolute) =>
      tarOf(
        { name: 'd/', type: '5' },
        { name: 'd/a', body: '' },
        { name: 'd', type: '2', link: absolute },
        { name: 'd/secret', body: 'evil' },
      ),
    refused: /link that leads nowhere/,
  },
  {
    title: 'a file that is written through a link of its own name',
    tar: (_, absolute) =>
      tarOf({ name: 'l', type: '2', link: `${absolute}/secret` }, { name: 'l', body: 'evil' }),
  },
  {
    title: 'a mode that is set through a link (CVE-2021-32760 class)',
    tar: (_, absolute) =>
      tarOf({ name: 'l', type: '2', link: `${absolute}/secret`, mode: 0o4777, uid: 1, gid: 1 }),
  },
  {
    title: 'attributes of a directory that became a link',
    tar: (_, absolute) =>
      tarOf(
        { name: 'd/', type: '5', mode: 0o777, uid: 99, mtime: 1 },
        { name: 'd', type: '2', link: `${absolute}/directory` },
      ),
  },
  {
    title: 'a directory over a link, then into it',
    tar: (_, absolute) =>
      tarOf(
        { name: 'l', type: '2', link: absolute },
        { name: 'l/', type: '5', mode: 0o777 },
        { name: 'l/secret', body: 'evil' },
      ),
  },
  {
    title: 'a hard link out of the root (CVE-2019-5736 class, CVE-2024-28180 class)',
    tar: up => tarOf({ name: 'h', type: '1', link: `${up}/secret` }, { name: 'h', body: 'evil' }),
    refused: /leads out of the root/,
  },
  {
    title: 'a hard link to an absolute path',
    tar: (_, absolute) => tarOf({ name: 'h', type: '1', link: `${absolute}/secret` }),
    refused: /hard link to .*secret, which is not there/,
  },
  {
    title: 'a hard link through a link',
    tar: (_, absolute) =>
      tarOf({ name: 'l', type: '2', link: absolute }, { name: 'h', type: '1', link: 'l/secret' }),
    refused: /hard link to l\/secret, which is not there/,
  },
  {
    title: 'a hard link to a link that leads out, then a write to it',
    tar: (_, absolute) =>
      tarOf(
        { name: 'l', type: '2', link: `${absolute}/secret` },
        { name: 'h', type: '1', link: 'l' },
        { name: 'h', body: 'evil' },
      ),
  },
  {
    title: 'a hard link to nothing',
    tar: () => tarOf({ name: 'h', type: '1', link: 'missing' }),
    refused: /hard link to missing, which is not there/,
  },
  {
    title: 'a hard link to a directory',
    tar: () => tarOf({ name: 'd/', type: '5' }, { name: 'h', type: '1', link: 'd' }),
    refused: /hard link to the directory d/,
  },
  {
    title: 'the root as a link',
    tar: (_, absolute) => tarOf({ name: './', type: '2', link: absolute }),
    refused: /root of the tree/,
  },
  {
    title: 'the root as a file',
    tar: () => tarOf({ name: '/', body: 'evil' }),
    refused: /root of the tree/,
  },
  {
    title: 'a file below a file',
    tar: () => tarOf({ name: 'f', body: '' }, { name: 'f/x', body: '' }),
    refused: /needed as a directory/,
  },
  {
    title: 'links in a circle',
    tar: () =>
      tarOf(
        { name: 'a', type: '2', link: 'b' },
        { name: 'b', type: '2', link: 'a' },
        { name: 'a/x', body: '' },
      ),
    refused: /needed as a directory/,
  },
  {
    title: 'a name of 300 bytes',
    tar: () => tarOf(paxEntry({ path: 'x'.repeat(300) }), { name: 'a' }),
    refused: /ENAMETOOLONG/,
  },
  {
    title: 'a way out through /proc',
    tar: () =>
      tarOf({ name: 'p', type: '2', link: '/proc/self/root' }, { name: 'p/tmp/evil', body: '' }),
    refused: /link that leads nowhere/,
  },
  {
    title: 'a device that hides files of an overlay',
    tar: () => tarOf({ name: 'etc', type: '3', major: 0, minor: 0 }),
    refused: /device 0:0/,
  },
]

for (const whiteouts of modes)
  for (const { title, tar, refused } of attacks)
    test(`${whiteouts}: ${title}`, async t => {
      const { scratch, root, outside } = makeVictim()
      using _ = scratch
      const before = { beside: readdirSync(scratch.path), outside: listTree(outside) }
      const bytes = tar('../outside', outside)
      if (refused === undefined) await applyTo(root, bytes, { whiteouts })
      else
        await t.throwsAsync(applyTo(root, bytes, { whiteouts }), {
          code: 'ARCHIVE_INVALID',
          message: refused,
        })
      t.deepEqual({ beside: readdirSync(scratch.path), outside: listTree(outside) }, before)
      t.is(lstatSync(path.join(outside, 'secret')).nlink, 1)
    })

const badWhiteouts: readonly {
  readonly title: string
  readonly entries: readonly RawEntry[]
  readonly why: RegExp
}[] = [
  {
    title: '.wh. alone (it would remove the directory itself)',
    entries: [{ name: 'a/.wh.', body: '' }],
    why: /whiteout of nothing/,
  },
  {
    title: '.wh.. (CVE-2018-15664 class)',
    entries: [{ name: 'a/.wh..', body: '' }],
    why: /whiteout of nothing/,
  },
  {
    title: '.wh... (it would remove the directory above)',
    entries: [{ name: 'a/.wh...', body: '' }],
    why: /whiteout of nothing/,
  },
  {
    title: 'a file below a whiteout',
    entries: [{ name: 'a/.wh.x/y', body: '' }],
    why: /below a name/,
  },
]

for (const whiteouts of ['delete', 'overlay'] as const) {
  for (const { title, entries, why } of badWhiteouts)
    test(`${whiteouts}: refused: ${title}`, async t => {
      const { scratch, root } = makeVictim()
      using _ = scratch
      mkdirSync(path.join(root, 'a'))
      writeFileSync(path.join(root, 'a', 'kept'), '')
      await t.throwsAsync(applyTo(root, tarOf(...entries), { whiteouts }), {
        code: 'ARCHIVE_INVALID',
        message: why,
      })
      t.true(readdirSync(path.join(root, 'a')).includes('kept'))
    })

  test(`${whiteouts}: a whiteout through a link removes nothing outside`, async t => {
    const { scratch, root, outside } = makeVictim()
    using _ = scratch
    symlinkSync(outside, path.join(root, 'l'))
    const before = listTree(outside)
    // Refused, or without any effect.
    for (const name of ['l/.wh.secret', 'l/.wh..wh..opq', 'l/directory/.wh..wh..opq'])
      await Promise.allSettled([applyTo(root, tarOf({ name, body: '' }), { whiteouts })])
    t.deepEqual(listTree(outside), before)
  })

  test(`${whiteouts}: a whiteout of a link removes the link`, async t => {
    const { scratch, root, outside } = makeVictim()
    using _ = scratch
    symlinkSync(outside, path.join(root, 'l'))
    const before = listTree(outside)
    await applyTo(root, tarOf({ name: '.wh.l', body: '' }), { whiteouts })
    t.deepEqual(listTree(outside), before)
    if (whiteouts === 'delete') t.deepEqual(readdirSync(root), [])
  })
}

testWith({ root: true })("overlayfs' own attributes are not taken from an archive", async t => {
  const { scratch, root } = makeVictim()
  using _ = scratch
  const pax = Object.fromEntries(
    [
      'trusted.overlay.redirect',
      'trusted.overlay.opaque',
      'trusted.overlay.metacopy',
      'user.overlay.redirect',
      'security.selinux',
    ].map(name => [`SCHILY.xattr.${name}`, '/etc']),
  )
  const tar = tarOf(
    { name: 'd/', type: '5', pax },
    { name: 'f', body: '', pax: { ...pax, 'SCHILY.xattr.user.fine': '1' } },
  )
  await applyTo(root, tar, { whiteouts: 'overlay' })
  t.deepEqual(native().listXattrs(path.join(root, 'd')), [])
  t.deepEqual(native().listXattrs(path.join(root, 'f')), ['user.fine'])
})

test('a bomb of entries ends at the limit', async t => {
  const { scratch, root } = makeVictim()
  using _ = scratch
  const tar = tarOf(...Array.from({ length: 20 }, (_unused, i) => ({ name: `${i}`, body: '' })))
  await t.throwsAsync(applyTo(root, tar, { limits: { ...defaultArchiveLimits, maxEntries: 10 } }), {
    code: 'ARCHIVE_INVALID',
    message: /more than 10 entries/,
  })
})

test('a file that claims more than is allowed is refused before it is written', async t => {
  const { scratch, root } = makeVictim()
  using _ = scratch
  const tar = rawEntry({ name: 'huge', size: 8 * 1024 ** 3 - 1 })
  await t.throwsAsync(
    applyTo(root, tar, { limits: { ...defaultArchiveLimits, maxTotalBytes: 1024 ** 3 } }),
    {
      code: 'ARCHIVE_INVALID',
      message: /more than 1073741824 bytes/,
    },
  )
  t.deepEqual(readdirSync(root), [])
})

test('a message tells the archive, the place and the entry, without control characters', async t => {
  const { scratch, root } = makeVictim()
  using _ = scratch
  const tar = tarOf({ name: 'ok', body: 'x' }, { name: 'evil\u001b[2J', type: '1', link: 'no' })
  const error = await t.throwsAsync(applyTo(root, tar, { name: 'rootfs.tar.xz' }))
  t.is(
    error.message,
    'rootfs.tar.xz: the entry "evil\\u001b[2J" cannot be unpacked: it is a hard link to no, which is not there',
  )
})

testWith({ root: true, programs: ['mount'] })('a full disk is DISK_FULL with a hint', t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('small'))
  // In a mount namespace of its own, so that no mount is left whatever happens.
  const script = `
    import { applyTo, tarOf } from ${JSON.stringify(path.join(import.meta.dirname, '../helpers/tar.ts'))}
    try {
      await applyTo(${JSON.stringify(scratch.at('small'))}, tarOf({ name: 'big', body: Buffer.alloc(3_000_000) }))
    } catch (error) { console.log(error.code, error.message) }`
  writeFileSync(scratch.at('script.mts'), script)
  const { stdout } = spawnSync(
    'unshare',
    [
      '--mount',
      'sh',
      '-ec',
      `mount -t tmpfs -o size=1m none "$1" && exec "$2" "$3"`,
      'sh',
      scratch.at('small'),
      process.execPath,
      scratch.at('script.mts'),
    ],
    { encoding: 'utf8' },
  )
  t.is(stdout, 'DISK_FULL no space left while writing big\n')
})

testWith({ root: true })('without root rights owners stay, and devices are refused', t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('root'), { mode: 0o777 })
  const script = `
    import { chmodSync } from 'node:fs'
    import { applyTo, tarOf } from ${JSON.stringify(path.join(import.meta.dirname, '../helpers/tar.ts'))}
    import { native } from ${JSON.stringify(path.join(import.meta.dirname, '../../src/native/native.ts'))}
    native()
    chmodSync(${JSON.stringify(scratch.path)}, 0o755)
    chmodSync(${JSON.stringify(scratch.at('root'))}, 0o777)
    process.setgroups([]); process.setgid(65534); process.setuid(65534)
    const root = ${JSON.stringify(scratch.at('root'))}
    await applyTo(root, tarOf(
      { name: 'locked/', type: '5', mode: 0o500, uid: 0 },
      { name: 'locked/f', body: 'x', uid: 0, mode: 0o444, pax: { 'SCHILY.xattr.security.capability': Buffer.from('0100000200200000000000000000000000000000', 'hex'), 'SCHILY.xattr.user.a': 'b' } },
    ))
    try {
      await applyTo(root, tarOf({ name: 'null', type: '3', major: 1, minor: 3 }))
    } catch (error) { console.log(error.code) }`
  writeFileSync(scratch.at('script.mts'), script)
  const { stdout, stderr } = spawnSync(process.execPath, [scratch.at('script.mts')], {
    encoding: 'utf8',
  })
  t.is(stdout, 'NOT_ROOT\n', stderr)
  t.like(native().statFile(scratch.at('root', 'locked', 'f')), { uid: 65534, mode: 0o100444 })
  t.is(native().statFile(scratch.at('root', 'locked')).mode, 0o040500)
  t.deepEqual(native().listXattrs(scratch.at('root', 'locked', 'f')), ['user.a'])
  t.is(readFileSync(scratch.at('root', 'locked', 'f'), 'utf8'), 'x')
})
