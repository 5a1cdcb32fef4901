import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { native } from '../../src/native/native.ts'
import { openDeb, readDebControls } from '../../src/rootfs/deb-archive.ts'
import { splitLanes, unpackMembers } from '../../src/rootfs/deb-members.ts'
import { startUnpacking } from '../../src/rootfs/deb-unpack.ts'
import { testWith } from '../helpers/needs.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

const withTar = testWith({ programs: ['tar', 'xz'] })

function ar(...members: [name: string, content: Buffer][]): Buffer {
  const parts = members.flatMap(([name, content]) => [
    Buffer.from(
      `${name.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}${String(content.length).padEnd(10)}\`\n`,
    ),
    content,
    Buffer.alloc(content.length % 2, '\n'),
  ])
  return Buffer.concat([Buffer.from('!<arch>\n'), ...parts])
}

const version: [string, Buffer] = ['debian-binary', Buffer.from('2.0\n')]

/** A tar of files as `tar` writes it, with names that it would rather not write. */
function tar(scratch: Scratch, files: Record<string, string>, ...options: string[]): Buffer {
  const directory = scratch.at(`tar-${readdirSync(scratch.path).length}`)
  mkdirSync(directory)
  for (const [name, text] of Object.entries(files)) writeFileSync(`${directory}/${name}`, text)
  return execFileSync('tar', ['-C', directory, ...options, '-cf', '-', ...Object.keys(files)])
}

function xz(content: Buffer): Buffer {
  return execFileSync('xz', ['-c'], { input: content })
}

const control = 'Package: a\nVersion: 1\nArchitecture: all\n'

withTar('both archives are found, whatever they are packed with', async t => {
  using scratch = makeScratch()
  const plain = tar(scratch, { control, postinst: '#!/bin/sh\n' })
  const data = tar(scratch, { file: 'x'.repeat(100_000) })
  const files = [
    ar(version, ['control.tar', plain], ['data.tar', data]),
    ar(version, ['control.tar.xz/', xz(plain)], ['data.tar.xz/', xz(data)]),
    ar(version, ['_extra', Buffer.from('x')], ['control.tar.xz', xz(plain)], ['data.tar', data]),
  ].map((content, index) => {
    const file = scratch.at(`${index}.deb`)
    writeFileSync(file, content)
    return file
  })
  const debs = files.map(openDeb)
  const controls = await readDebControls(debs)
  for (const { stanza, files: found } of controls) {
    t.is(stanza.get('Package'), 'a')
    t.deepEqual([...found.keys()], ['postinst'])
  }
  const sizes: number[] = []
  for await (const tarBytes of unpackMembers(debs.map(deb => deb.data))) {
    let size = 0
    for await (const chunk of tarBytes) size += chunk.length
    sizes.push(size)
  }
  t.deepEqual(sizes, [data.length, data.length, data.length])
})

const sound = Buffer.alloc(10_240)
const broken: [title: string, content: Buffer, message: RegExp][] = [
  ['nothing', Buffer.alloc(0), /no ar archive/],
  ['a web page', Buffer.from('<html></html>'), /no ar archive/],
  ['no members', Buffer.from('!<arch>\n'), /debian-binary does not come first/],
  ['no data', ar(version, ['control.tar', sound]), /has no data\.tar/],
  [
    'no version first',
    ar(['control.tar', sound], ['data.tar', sound]),
    /debian-binary does not come first/,
  ],
  [
    'an empty member',
    ar(version, ['control.tar', Buffer.alloc(0)], ['data.tar', sound]),
    /a part of it is empty/,
  ],
  [
    'cut off',
    ar(version, ['control.tar', sound], ['data.tar', sound]).subarray(0, -100),
    /cut off or damaged/,
  ],
  [
    'a size that is no number',
    Buffer.from(
      ar(version, ['control.tar', sound]).toString('latin1').replace('10240     ', '-1        '),
      'latin1',
    ),
    /cut off or damaged/,
  ],
]
for (const [title, content, message] of broken)
  test(`refused as a package: ${title}`, t => {
    using scratch = makeScratch()
    writeFileSync(scratch.at('a.deb'), content)
    const error = t.throws(() => openDeb(scratch.at('a.deb')), { instanceOf: KauriError })
    t.is(error?.code, 'ARCHIVE_INVALID')
    t.regex(error?.message ?? '', message)
  })

withTar('damaged and odd control archives are refused', async t => {
  using scratch = makeScratch()
  const good = xz(tar(scratch, { control }))
  const bad = Buffer.from(good)
  bad[40] = (bad[40] ?? 0) ^ 0xff
  const nested = tar(scratch, { control }, '--transform=s,control,deep/control,')
  for (const member of [bad, xz(tar(scratch, { other: '' })), nested]) {
    writeFileSync(scratch.at('a.deb'), ar(version, ['control.tar', member], ['data.tar', sound]))
    writeFileSync(scratch.at('b.deb'), ar(version, ['control.tar', good], ['data.tar', sound]))
    const debs = [openDeb(scratch.at('a.deb')), openDeb(scratch.at('b.deb'))]
    await t.throwsAsync(readDebControls(debs), { instanceOf: KauriError, code: 'ARCHIVE_INVALID' })
  }
})

withTar('files of a package stay below the root', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('root'))
  const directory = scratch.at('evil')
  mkdirSync(directory)
  execFileSync('sh', ['-c', `mkdir d; echo x > f; ln -s ${scratch.path} out`], { cwd: directory })
  const archives = [
    execFileSync('tar', ['-C', directory, '-P', '--transform=s,^f$,../escaped,', '-cf', '-', 'f'], {
      stdio: 'pipe',
    }),
    execFileSync(
      'tar',
      ['-C', directory, '-P', `--transform=s,^f$,${scratch.path}/escaped,`, '-cf', '-', 'f'],
      { stdio: 'pipe' },
    ),
    execFileSync(
      'tar',
      ['-C', directory, '--transform=s,^f$,out/escaped,', '-cf', '-', 'out', 'f'],
      { stdio: 'pipe' },
    ),
  ]
  for (const [index, data] of archives.entries()) {
    const file = scratch.at(`${index}.deb`)
    writeFileSync(file, ar(version, ['control.tar', tar(scratch, { control })], ['data.tar', data]))
    const archive = openDeb(file)
    const [read] = await readDebControls([archive])
    if (read === undefined) throw new Error('no control')
    const rootFd = native().cloneTreeDetached(scratch.at('root'), 'read-write')
    const session = startUnpacking({ rootFd, excludeDocs: false, mergedUsr: true })
    const deb = { name: 'a', architecture: 'all', version: '1', archive, control: read, rank: 0 }
    for await (const bytes of unpackMembers([archive.data]))
      await session.unpack(deb, bytes).catch(error => t.true(error instanceof KauriError))
    t.deepEqual(
      readdirSync(scratch.path).filter(name => name === 'escaped'),
      [],
    )
  }
})

test('lanes share the work by size', t => {
  t.deepEqual(
    splitLanes([5, 1, 4, 2], size => size),
    [
      [5, 1],
      [4, 2],
    ],
  )
  t.deepEqual(splitLanes([], Number), [])
  t.deepEqual(splitLanes([3], Number), [[3]])
})
