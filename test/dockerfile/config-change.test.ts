import test from 'ava'
import { changeConfig } from '../../src/dockerfile/config-change.ts'
import type { RunConfig } from '../../src/oci/image-config.ts'

const cases: readonly [string, readonly string[], RunConfig, RunConfig?][] = [
  ['CMD as JSON', ['CMD ["/bin/sh"]'], { Cmd: ['/bin/sh'] }],
  ['CMD as shell', ['CMD echo "a  b"'], { Cmd: ['/bin/sh', '-c', 'echo "a  b"'] }],
  ['CMD with broken JSON is shell', ['CMD [ -f x ]'], { Cmd: ['/bin/sh', '-c', '[ -f x ]'] }],
  [
    'CMD with another shell',
    ['CMD x'],
    { Shell: ['/bin/bash', '-ec'], Cmd: ['/bin/bash', '-ec', 'x'] },
    { Shell: ['/bin/bash', '-ec'] },
  ],
  ['lower-case words', ['cmd ["a"]'], { Cmd: ['a'] }],
  [
    'ENTRYPOINT forgets an inherited CMD',
    ['ENTRYPOINT ["e"]'],
    { Entrypoint: ['e'] },
    { Cmd: ['old'] },
  ],
  [
    'ENTRYPOINT keeps a CMD given before',
    ['CMD ["c"]', 'ENTRYPOINT ["e"]'],
    { Cmd: ['c'], Entrypoint: ['e'] },
  ],
  ['ENV pairs', ['ENV A=1 B="2 3" C=4\\ 5 D=\'$A\''], { Env: ['A=1', 'B=2 3', 'C=4 5', 'D=$A'] }],
  ['ENV old form', ['ENV A  b c '], { Env: ['A=b c'] }],
  [
    'ENV sees what came before it only',
    ['ENV A=1', 'ENV A=2 B=$A', 'ENV C=${A}${X:-d}'],
    { Env: ['A=2', 'B=1', 'C=2d'] },
  ],
  ['ENV keeps the place of a name', ['ENV A=9'], { Env: ['A=9', 'B=2'] }, { Env: ['A=1', 'B=2'] }],
  ['LABEL', ['LABEL a.b="c d" e=f'], { Labels: { 'a.b': 'c d', e: 'f' } }],
  [
    'EXPOSE',
    ['EXPOSE 80 53/UDP 8000-8002'],
    {
      ExposedPorts: { '80/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {}, '8002/tcp': {} },
    },
  ],
  [
    'VOLUME as JSON and words',
    ['VOLUME ["/a b"]', 'VOLUME /c /d'],
    { Volumes: { '/a b': {}, '/c': {}, '/d': {} } },
  ],
  ['USER', ['ENV U=me', 'USER $U:grp'], { Env: ['U=me'], User: 'me:grp' }],
  ['WORKDIR joins', ['WORKDIR a', 'WORKDIR b/../c', 'WORKDIR ./d/'], { WorkingDir: '/a/c/d' }],
  ['STOPSIGNAL', ['STOPSIGNAL sigquit'], { StopSignal: 'sigquit' }],
  [
    'HEALTHCHECK',
    ['HEALTHCHECK --interval=1m30s --retries=3 CMD ["x"]'],
    { Healthcheck: { Test: ['CMD', 'x'], Interval: 90e9, Retries: 3 } },
  ],
  [
    'HEALTHCHECK as shell',
    ['HEALTHCHECK CMD a || b'],
    { Healthcheck: { Test: ['CMD-SHELL', 'a || b'] } },
  ],
  ['HEALTHCHECK NONE', ['HEALTHCHECK NONE'], { Healthcheck: { Test: ['NONE'] } }],
  ['ONBUILD', ['ONBUILD RUN make'], { OnBuild: ['RUN make'] }],
  ['continuations and comments', ['ENV A=1 \\\n# why\n  B=2'], { Env: ['A=1', 'B=2'] }],
  ['nothing', [], {}],
]
for (const [name, lines, want, start = {}] of cases)
  test(`changes: ${name}`, t => {
    t.deepEqual(changeConfig(start, lines), want)
  })

const wrong: readonly [string, string][] = [
  ['RUN true', 'RUN is not a valid change command'],
  ['FROM x', 'FROM is not a valid change command'],
  ['constructor x', 'constructor is not a valid change command'],
  ['CMD [1]', 'when using JSON array syntax, arrays must be comprised of strings only'],
  ['CMD', 'a command requires at least one argument'],
  ['ENV', 'ENV requires at least one argument'],
  ['ENV A', 'ENV must have two arguments'],
  ['ENV A=1 B', 'Syntax error - can\'t find = in "B". Must be of the form: name=value'],
  ['ENV =1', 'ENV names can not be blank'],
  ['EXPOSE 80/icmp', 'invalid port: "80/icmp": invalid proto: icmp'],
  ['EXPOSE 20-10', 'invalid containerPort: 20-10'],
  ['EXPOSE 99999', 'invalid containerPort: 99999'],
  ['STOPSIGNAL SIGNONE', 'invalid signal: SIGNONE'],
  ['ONBUILD ONBUILD RUN x', "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"],
  ['ONBUILD FROM x', "FROM isn't allowed as an ONBUILD trigger"],
  ['HEALTHCHECK SHELL x', 'Unknown type "SHELL" in HEALTHCHECK (try CMD)'],
  ['HEALTHCHECK CMD', 'Missing command after HEALTHCHECK CMD'],
  ['HEALTHCHECK --interval=1 CMD x', 'time: missing unit in duration "1"'],
  ['HEALTHCHECK --interval=1us CMD x', 'Interval "interval" cannot be less than 1ms'],
  ['HEALTHCHECK --x=1 CMD x', 'unknown flag: --x'],
  ['USER', 'USER requires exactly one argument'],
]
for (const [line, message] of wrong)
  test(`"${line}" is refused`, t => {
    t.throws(() => changeConfig({}, [line]), { code: 'USAGE', message })
  })
