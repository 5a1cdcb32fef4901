// Rows 47 to 64 of docs/dockerfile.md: COPY and ADD.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { checkBuild, featureRows } from '../helpers/feature-rows.ts'
import { serveFiles } from '../helpers/file-server.ts'
import { makeGitRepository, serveGit } from '../helpers/git-server.ts'

const { row, rowWith } = featureRows()
const files = { 'a.txt': 'A', 'b.txt': 'B', 'c.md': 'C', 'd/e.txt': 'E', 'd/f/g.txt': 'G' }

row(47, 'COPY takes files, directories and patterns', {
  dockerfile:
    'FROM scratch\nCOPY *.txt [c]*.m? /t/\nCOPY d /d/\nCOPY a.txt /renamed\nCOPY ../../../a.txt /up\n',
  files,
  has: { 'list:t': 'a.txt b.txt c.md', 'd/e.txt': 'E', 'd/f/g.txt': 'G', renamed: 'A', up: 'A' },
})

row(
  48,
  'a pattern that fits nothing copies nothing; a name that is not there is an error',
  { dockerfile: 'FROM scratch\nCOPY a.txt none*.txt /t/\n', files, has: { 'list:t': 'a.txt' } },
  { dockerfile: 'FROM scratch\nCOPY none.txt /\n', files, refused: /"\/none\.txt": not found/ },
)

row(
  49,
  'COPY --from takes stages by name and number, and images',
  {
    dockerfile:
      'FROM base AS one\nRUN echo 1 > /x && chown 7:8 /x\nFROM scratch\nCOPY --from=one /x /a\nCOPY --from=0 /x /b\nCOPY --from=base /etc/group /c\nCOPY --from=ONE /x /d\n',
    has: { a: '1', b: '1', d: '1', 'mode:a': '644 7:8' },
  },
  {
    dockerfile: 'FROM scratch AS now\nCOPY --from=later /x /\nFROM base AS later\n',
    words: ['--target', 'now'],
    refused: /cannot copy from stage "later", it needs to be defined before current stage/,
  },
)

rowWith(50, 'COPY --from takes a named context', async (t, trial) => {
  const other = trial.contextOf({ 'o.txt': 'O' })
  await checkBuild(t, trial, {
    dockerfile: 'FROM scratch\nCOPY --from=other o.txt /\n',
    words: ['--build-context', `other=${other}`],
    has: { 'o.txt': 'O' },
  })
})

row(
  51,
  'COPY --chown takes names and numbers, looked up in the image',
  {
    dockerfile:
      'FROM base\nARG G=other\nCOPY --chown=app:$G a.txt /a\nCOPY --chown=7 a.txt /b\nCOPY --chown=app a.txt /c\n',
    files,
    has: { 'mode:a': '644 1000:2001', 'mode:b': '644 7:7', 'mode:c': '644 1000:1000' },
  },
  {
    dockerfile: 'FROM base\nCOPY --chown=nobody-here a.txt /\n',
    files,
    told: /warning: .*no user nobody-here/,
    has: { 'mode:a.txt': '644 0:0' },
  },
)

row(52, 'COPY --chmod takes octal modes', {
  dockerfile: 'FROM scratch\nCOPY --chmod=4751 a.txt /\nCOPY --chmod=700 d /d\n',
  files,
  has: { 'mode:a.txt': '4751 0:0', 'mode:d/e.txt': '700 0:0', 'mode:d': '700 0:0' },
})

row(53, 'COPY --chmod takes symbolic modes', {
  dockerfile: 'FROM scratch\nCOPY --chmod=u=rw,go= a.txt /\nCOPY --chmod=a+X,g+w d /d\n',
  files,
  has: { 'mode:a.txt': '600 0:0', 'mode:d/e.txt': '664 0:0', 'mode:d/f': '775 0:0' },
})

row(
  54,
  'COPY --link stands on nothing, and is cached whatever changes below it',
  {
    dockerfile:
      'FROM base\nRUN mkdir /real && ln -s real /alias && echo one > /marker\nCOPY --link a.txt /alias/\n',
    files,
    has: { 'alias/a.txt': 'A' },
  },
  {
    dockerfile:
      'FROM base\nRUN mkdir /real && ln -s real /alias && echo two > /marker\nCOPY --link a.txt /alias/\n',
    files,
    has: { 'alias/a.txt': 'A', marker: 'two' },
    told: /COPY --link a\.txt \/alias\/\n#\d+ CACHED/,
  },
)

row(55, 'COPY --parents keeps directories, from a point on', {
  dockerfile:
    'FROM scratch\nCOPY --parents d/f/g.txt **/e.txt /p/\nCOPY --parents ./d/./f/*.txt /q/\n',
  files,
  has: { 'p/d/f/g.txt': 'G', 'p/d/e.txt': 'E', 'q/f/g.txt': 'G' },
})

row(56, 'COPY --exclude leaves out', {
  dockerfile: 'FROM scratch\nCOPY --exclude=*.txt --exclude=d/f --exclude=Dockerfile . /x/\n',
  files,
  has: { 'list:x': 'c.md d', 'list:x/d': 'e.txt' },
})

rowWith(57, 'ADD unpacks tars in any packing, and COPY does not', async (t, trial) => {
  const packed = trial.scratch.at('packed')
  mkdirSync(packed)
  writeFileSync(path.join(packed, 'inside'), 'I')
  const directory = trial.contextOf({
    Dockerfile:
      'FROM scratch\nADD t.tar /plain/\nADD t.tgz /gzip/\nADD t.tbz /bzip2/\nADD t.txz /xz/\nADD no.tar /file/\nCOPY t.tar /\n',
    'no.tar': 'no tar',
  })
  for (const [flags, name] of [
    ['-cf', 't.tar'],
    ['-czf', 't.tgz'],
    ['-cjf', 't.tbz'],
    ['-cJf', 't.txz'],
  ] as const)
    execFileSync('tar', ['-C', packed, flags, path.join(directory, name), 'inside'])
  const out = trial.scratch.at('unpacked')
  await trial.build(t, ['-o', out, directory])
  for (const name of ['plain', 'gzip', 'bzip2', 'xz'])
    t.is(readFileSync(path.join(out, name, 'inside'), 'utf8'), 'I', name)
  t.is(readFileSync(path.join(out, 'file/no.tar'), 'utf8'), 'no tar')
  t.true(lstatSync(path.join(out, 't.tar')).isFile())
})

rowWith(
  58,
  'ADD downloads files, with the time of the server and a mode of 0600',
  async (t, trial) => {
    const www = trial.scratch.at('www58')
    mkdirSync(www)
    writeFileSync(path.join(www, 'f.txt'), 'F')
    utimesSync(path.join(www, 'f.txt'), 1_000_000_000, 1_000_000_000)
    await using server = await serveFiles(www)
    const dockerfile = `FROM scratch\nADD ${server.url}/f.txt?x=1 /d/\nADD --chmod=644 ${server.url}/f.txt /named\n`
    await checkBuild(t, trial, {
      dockerfile,
      has: { 'd/f.txt': 'F', 'mode:d/f.txt': '600 0:0', 'mode:named': '644 0:0' },
    })
    await checkBuild(t, trial, { dockerfile, told: /CACHED[^]*CACHED/ })
    // The keys of both are learnt side by side.
    t.deepEqual(server.requests.toSorted(), [
      '200 /f.txt',
      '200 /f.txt?x=1',
      '304 /f.txt',
      '304 /f.txt?x=1',
    ])
    const seen = { dockerfile: `FROM base\nADD ${server.url}/f.txt /f\nRUN stat -c %Y /f > /x\n` }
    await checkBuild(t, trial, { ...seen, has: { x: '1000000000' } })
  },
)

rowWith(59, 'ADD --checksum checks files and commits', async (t, trial) => {
  const { scratch } = trial
  const repository = makeGitRepository(scratch.at('git59/one'))
  const commit = repository.commit({ file: '1' })
  symlinkSync('one/.git', scratch.at('git59/one.git'))
  writeFileSync(scratch.at('git59/f.txt'), 'F')
  await using git = await serveGit(scratch.at('git59'))
  await using web = await serveFiles(scratch.at('git59'))
  await checkBuild(t, trial, {
    dockerfile: `FROM scratch\nADD --checksum=${digestOf('F')} ${web.url}/f.txt /\nADD --checksum=${commit.slice(0, 10)} ${git.url}/one.git /g/\n`,
    has: { 'f.txt': 'F', 'g/file': '1' },
  })
  await checkBuild(t, trial, {
    dockerfile: `FROM scratch\nADD --checksum=${digestOf('G')} ${web.url}/f.txt /other\n`,
    refused: /digest mismatch/,
  })
  await checkBuild(t, trial, {
    dockerfile: `FROM scratch\nADD --checksum=deadbeef ${git.url}/one.git /g/\n`,
    refused: /expected checksum to match deadbeef/,
  })
})

rowWith(
  60,
  'ADD takes git repositories, with and without their own directory',
  async (t, trial) => {
    const { scratch } = trial
    const repository = makeGitRepository(scratch.at('git60/one'))
    repository.commit({ 'sub/file': '1' })
    symlinkSync('one/.git', scratch.at('git60/one.git'))
    await using server = await serveGit(scratch.at('git60'))
    const url = `${server.url}/one.git`
    await checkBuild(t, trial, {
      dockerfile: `FROM scratch\nADD ${url} /a/\nADD ${url}#main:sub /b/\nADD --keep-git-dir=true ${url} /c/\nADD ${url}?branch=main&subdir=sub /d/\n`,
      has: {
        'list:a': 'sub',
        'list:b': 'file',
        'list:c': '.git sub',
        'list:d': 'file',
        'mode:b/file': '644 0:0',
      },
    })
  },
)

rowWith(
  61,
  'ADD --unpack unpacks what was downloaded, or leaves archives whole',
  async (t, trial) => {
    const www = trial.scratch.at('www61')
    mkdirSync(www)
    writeFileSync(path.join(www, 'inside'), 'I')
    execFileSync('tar', ['-C', www, '-czf', path.join(www, 't.tgz'), 'inside'])
    await using server = await serveFiles(www)
    const directory = trial.contextOf({
      Dockerfile: `FROM scratch\nADD --unpack ${server.url}/t.tgz /a/\nADD ${server.url}/t.tgz /b/\nADD --unpack=false t.tgz /c/\n`,
    })
    writeFileSync(path.join(directory, 't.tgz'), readFileSync(path.join(www, 't.tgz')))
    const out = trial.scratch.at('out61')
    await trial.build(t, ['-o', out, directory])
    t.is(readFileSync(path.join(out, 'a/inside'), 'utf8'), 'I')
    t.true(lstatSync(path.join(out, 'b/t.tgz')).isFile())
    t.true(lstatSync(path.join(out, 'c/t.tgz')).isFile())
  },
)

rowWith(62, 'set-id and sticky bits are kept', async (t, trial) => {
  const directory = trial.contextOf({
    Dockerfile: 'FROM base AS one\nCOPY d /x\nFROM scratch\nCOPY --from=one /x /y\n',
    'd/file': 'F',
    'd/sticky/': '',
  })
  chmodSync(path.join(directory, 'd/file'), 0o6755)
  chmodSync(path.join(directory, 'd/sticky'), 0o1777)
  const out = trial.scratch.at('out62')
  await trial.build(t, ['-o', out, directory])
  t.is(lstatSync(path.join(out, 'y/file')).mode & 0o7777, 0o6755)
  t.is(lstatSync(path.join(out, 'y/sticky')).mode & 0o7777, 0o1777)
})

rowWith(64, 'hard links of one source stay hard links', async (t, trial) => {
  const directory = trial.contextOf({ Dockerfile: 'FROM scratch\nCOPY d /d\n', 'd/a': 'A' })
  linkSync(path.join(directory, 'd/a'), path.join(directory, 'd/b'))
  const out = trial.scratch.at('out64')
  await trial.build(t, ['-o', out, directory])
  t.is(lstatSync(path.join(out, 'd/a')).ino, lstatSync(path.join(out, 'd/b')).ino)
})
