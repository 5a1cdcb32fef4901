// Dockerfiles and contexts out of a seed: every seed gives the same ones, everywhere.

import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** Numbers from 0 to `below`, the same for the same seed. */
export type Random = (below: number) => number

/** mulberry32 */
export function randomOf(seed: number): Random {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const pick = <T>(random: Random, items: readonly T[]): T => {
  const item = items[random(items.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}

/** Paths that every generated context has; which of them are what depends on the seed. */
const contextFiles = [
  'a.txt',
  'b.txt',
  'run.sh',
  'd/one',
  'd/two',
  'd/e/three',
  'f/four',
  'f/g.log',
]

/** Fills a directory with files whose contents are those of the seed. */
export function writeContext(directory: string, random: Random): void {
  for (const name of contextFiles) {
    const file = path.join(directory, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, `${name} ${random(1000)}\n`.repeat(1 + random(20)))
    chmodSync(file, pick(random, [0o644, 0o755, 0o600, 0o4755, 0o664]))
  }
  chmodSync(path.join(directory, 'd'), pick(random, [0o755, 0o750, 0o2755]))
  symlinkSync(pick(random, ['a.txt', '../outside', 'd']), path.join(directory, 'link'))
  if (random(2) === 0) writeFileSync(path.join(directory, '.dockerignore'), '*.log\n!f/keep.log\n')
}

/** Changes the content of one file. */
export function changeContext(directory: string, random: Random): void {
  writeFileSync(path.join(directory, pick(random, contextFiles)), `changed ${random(1_000_000)}\n`)
}

type Line = (random: Random, stages: readonly string[]) => string

const targets = ['/', '/in/', '/in/deep/', '/etc/', '/home/app/', './', 'rel/']
const sources = ['a.txt', 'd', 'd/', 'd/*', '*.txt', 'f', 'a.txt b.txt', 'link', '.', 'run.sh d/e']
const flags = [
  '',
  '',
  '--chown=1000:1000 ',
  '--chmod=640 ',
  '--link ',
  '--exclude=two ',
  '--parents ',
]

const lines: readonly Line[] = [
  random => `COPY ${pick(random, flags)}${pick(random, sources)} ${pick(random, targets)}`,
  random => `COPY ${pick(random, flags)}${pick(random, sources)} ${pick(random, targets)}`,
  (random, stages) =>
    stages.length === 0
      ? `LABEL l${random(3)}=${random(9)}`
      : `COPY --from=${pick(random, stages)} ${pick(random, ['/etc/passwd', '/home/', '/in*', '/made*'])} /from/`,
  random => `RUN mkdir -p /made${random(3)} && echo ${random(50)} > /made${random(3)}x`,
  random =>
    `RUN touch /t${random(4)}; rm -rf ${pick(random, ['/in/d', '/home/app', '/t1', '/etc/group'])}`,
  random =>
    `RUN cat /etc/passwd | wc -l > /lines${random(3)}; ln -f /lines* /hard 2> /dev/null; true`,
  random => `RUN chown -R 1000 /home; chmod ${pick(random, ['700', '1777', '2755'])} /home`,
  random => `RUN <<EOF\nset -e\necho ${random(9)} > /script\nln -sfn /script /to\nEOF`,
  random => `COPY <<one <<"two" /docs/\nvalue $V ${random(9)}\none\nplain $V\ntwo`,
  random =>
    `RUN --mount=type=bind,target=/ctx cat /ctx/${pick(random, ['a.txt', 'd/one'])} > /bound`,
  random =>
    `RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/tmp/t echo ${random(5)} > /tmp/t/x`,
  random => `ENV V=${random(9)} W="a $V"`,
  random => `ARG A=${random(3)}`,
  random => `WORKDIR ${pick(random, ['/work', 'sub', '/in'])}`,
  random => `USER ${pick(random, ['0', 'app', '1000:1000'])}\nRUN id > /tmp/id${random(3)}\nUSER 0`,
  random => `LABEL l${random(3)}="${random(100)}"`,
]

/** A Dockerfile of one to three stages on `base`; some of its instructions may fail. */
export function generateDockerfile(random: Random, base: string): string {
  const text: string[] = []
  const stages: string[] = []
  const count = 1 + random(3)
  for (let stage = 0; stage < count; stage++) {
    const from = stages.length > 0 && random(3) === 0 ? pick(random, stages) : base
    text.push(`FROM ${from} AS s${stage}`)
    for (let left = 2 + random(6); left > 0; left--) text.push(pick(random, lines)(random, stages))
    stages.push(`s${stage}`)
  }
  return `${text.join('\n')}\n`
}
