// Rows 32 to 46 and 65 to 72 of docs/dockerfile.md: RUN with all it can mount and ask for, and the other instructions.

import { readlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { checkBuild, featureRows } from '../helpers/feature-rows.ts'

const { row, rowWith } = featureRows()

function hostNetwork(): string {
  return readlinkSync('/proc/self/ns/net')
}

row(32, 'RUN takes a shell command or a list', {
  dockerfile: 'FROM base\nRUN echo $HOME > /x\nRUN ["sh", "-c", "echo $0 > /y", "$HOME"]\n',
  has: { x: '/root', y: '$HOME' },
})

row(33, 'SHELL is for RUN, CMD and ENTRYPOINT', {
  dockerfile: 'FROM base\nSHELL ["/bin/sh", "-ec"]\nRUN echo $- > /x\nCMD c\nENTRYPOINT e\n',
  config: {
    Shell: ['/bin/sh', '-ec'],
    Cmd: ['/bin/sh', '-ec', 'c'],
    Entrypoint: ['/bin/sh', '-ec', 'e'],
  },
  has: { x: 'e' },
})

row(
  34,
  'RUN sees files of the context, of stages and of images; what it writes there is gone',
  {
    dockerfile:
      'FROM base AS one\nRUN mkdir /d && echo 1 > /d/f\nFROM base\nRUN --mount=target=/c cat /c/a > /x; touch /c/b || echo read-only > /ro\nRUN --mount=type=bind,from=one,source=d,target=/o,rw cat /o/f > /y && echo 2 > /o/f\nRUN --mount=from=base,source=/etc/passwd,target=/p head -n 1 /p > /z\n',
    files: { a: 'A' },
    has: { x: 'A', ro: 'read-only', y: '1', z: 'root:x:0:0:root:/root:/bin/sh' },
    lacks: ['c/a', 'o/f'],
  },
  { dockerfile: 'FROM base\nRUN --mount=from=none,target=/x true\n', refused: /none/ },
)

row(35, 'a cache has an id, a mode, an owner, a start', {
  dockerfile:
    'FROM base AS start\nRUN mkdir /s && echo 1 > /s/f && chown -R 7:8 /s\nFROM base\nRUN --mount=type=cache,id=row35,target=/c,mode=0750,uid=7,gid=8 stat -c "%a %u:%g" /c > /x; echo kept > /c/k\nRUN --mount=type=cache,id=row35,target=/elsewhere,mode=0750,uid=7,gid=8 cat /elsewhere/k > /y\nRUN --mount=type=cache,id=row35b,from=start,source=/s,target=/c cat /c/f > /z\n',
  has: { x: '750 7:8', y: 'kept', z: '1' },
  lacks: ['c/k'],
})

row(36, 'caches are shared, locked or private', {
  dockerfile:
    'FROM base AS a\nRUN --mount=type=cache,id=row36,sharing=locked,target=/c echo 1 >> /c/f; sleep 0.2; echo 1 >> /c/f\nFROM base AS b\nRUN --mount=type=cache,id=row36,sharing=locked,target=/c echo 2 >> /c/f; sleep 0.2; echo 2 >> /c/f\nFROM base\nCOPY --from=a /etc/passwd /p\nCOPY --from=b /etc/passwd /q\nRUN --mount=type=cache,id=row36,sharing=shared,target=/c wc -l < /c/f > /x; head -n 2 /c/f | sort -u | wc -l >> /x\nRUN --mount=type=cache,id=row36p,sharing=private,target=/c touch /c/f\n',
  has: { x: '4\n1' },
})

row(37, 'RUN has temporary file systems, of a size', {
  dockerfile:
    'FROM base\nRUN --mount=type=tmpfs,target=/t,size=1m dd if=/dev/zero of=/t/f bs=1k count=2000 2> /dev/null || stat -c %s /t/f > /x\n',
  has: { x: '1048576' },
  lacks: ['t/f'],
})

row(38, 'a secret is a file while the command runs', {
  dockerfile:
    'FROM base\nWORKDIR /w\nRUN --mount=type=secret,id=s cat /run/secrets/s | wc -c > /x\nRUN --mount=type=secret,id=s,target=here wc -c < here > /y\n',
  env: { TOKEN: 'four' },
  words: ['--secret', 'id=s,env=TOKEN'],
  has: { x: '4', y: '4' },
  lacks: ['run/secrets/s'],
})

row(39, 'a secret may be a variable, and a file as well', {
  dockerfile:
    'FROM base\nRUN --mount=type=secret,id=s,env=V echo ${#V} > /x; ls /run/secrets 2> /dev/null >> /x || true\nRUN --mount=type=secret,id=s,env=V,target=/f echo ${#V} > /y; wc -c < /f >> /y\n',
  env: { TOKEN: 'four' },
  words: ['--secret', 'id=s,env=TOKEN'],
  has: { x: '4', y: '4\n4' },
})

row(
  40,
  'secrets can be required, and have modes and owners',
  {
    dockerfile:
      'FROM base\nRUN --mount=type=secret,id=s stat -c "%a %u:%g" /run/secrets/s > /x\nRUN --mount=type=secret,id=s,mode=0444,uid=7,gid=8,target=/s stat -c "%a %u:%g" /s >> /x\nRUN --mount=type=secret,id=none test ! -e /run/secrets/none\n',
    env: { TOKEN: 'four' },
    words: ['--secret', 'id=s,env=TOKEN'],
    has: { x: '400 0:0\n444 7:8' },
  },
  { dockerfile: 'FROM base\nRUN --mount=type=secret,id=none,required true\n', refused: /none/ },
  { dockerfile: 'FROM base\nRUN --mount=type=ssh,required true\n', refused: /ssh|default/ },
)

rowWith(41, 'a command reaches the caller’s ssh agent', async (t, trial) => {
  const socket = trial.scratch.at('agent')
  const server = createServer(connection => connection.end())
  await new Promise<void>(resolve => server.listen(socket, resolve))
  try {
    await checkBuild(t, trial, {
      dockerfile:
        'FROM base\nRUN --mount=type=ssh stat -c "%F %a" $SSH_AUTH_SOCK > /x\nRUN --mount=type=ssh,id=other,mode=0666,target=/a stat -c "%F %a" /a >> /x\n',
      words: ['--ssh', `default=${socket}`, '--ssh', `other=${socket}`],
      has: { x: 'socket 600\nsocket 666' },
    })
  } finally {
    server.close()
  }
})

row(
  42,
  'values of mount options may be variables; names of stages may not',
  {
    dockerfile:
      'FROM base\nARG ID=row42 DIR=/c\nRUN --mount=type=cache,id=$ID,target=${DIR} echo 1 > $DIR/f\nRUN --mount=type=cache,id=row42,target=/d cat /d/f > /x\n',
    has: { x: '1' },
  },
  {
    dockerfile: 'FROM base\nARG S=base\nRUN --mount=from=$S,target=/x true\n',
    refused: /doesn't support variable expansion/,
  },
)

row(
  43,
  'RUN has the network that it asks for, and the host’s where the caller allows that',
  { dockerfile: 'FROM base\nRUN --network=none ls /sys/class/net > /x\n', has: { x: 'lo' } },
  {
    dockerfile:
      'FROM base\nRUN --network=none ls /sys/class/net > /x\nRUN --network=default ls /sys/class/net | sort > /y\n',
    has: { x: 'lo', y: 'eth0\nlo' },
  },
  { dockerfile: 'FROM base\nRUN --network=host true\n', refused: /network\.host is not allowed/ },
  {
    dockerfile: 'FROM base\nRUN --network=host readlink /proc/self/ns/net > /x\n',
    words: ['--allow', 'network.host'],
    has: { x: hostNetwork() },
  },
)

row(
  44,
  'RUN --security=insecure has all rights, where the caller allows that',
  {
    dockerfile: 'FROM base\nRUN --security=insecure true\n',
    refused: /security\.insecure is not allowed/,
  },
  {
    dockerfile: 'FROM base\nRUN --security=insecure unshare --mount true && echo yes > /x\n',
    words: ['--allow', 'security.insecure'],
    has: { x: 'yes' },
  },
)

row(
  45,
  'a device that is required is refused; another one is just not there',
  { dockerfile: 'FROM base\nRUN --device=vendor.example/gpu,required=false test ! -e /dev/gpu\n' },
  { dockerfile: 'FROM base\nRUN --device=vendor.example/gpu,required true\n', refused: /device/ },
)

row(46, 'limits and hosts are the caller’s to say', {
  dockerfile:
    'FROM base\nRUN ulimit -n > /x; stat -f -c %b*%S /dev/shm > /y 2> /dev/null || true; grep peer /etc/hosts > /z\n',
  words: [
    '--ulimit',
    'nofile=100:200',
    '--add-host',
    'peer:10.9.8.7',
    '-m',
    '200m',
    '--cpu-shares',
    '512',
    '--shm-size',
    '1m',
  ],
  has: { x: '100', z: '10.9.8.7\tpeer' },
})

row(65, 'WORKDIR makes directories that belong to the user', {
  dockerfile: 'FROM base\nUSER app\nWORKDIR /a/b\nWORKDIR c\nRUN pwd > x\n',
  has: { 'a/b/c/x': '/a/b/c', 'mode:a/b/c': '755 1000:1000' },
  config: { WorkingDir: '/a/b/c', User: 'app' },
})

row(
  66,
  'USER takes names and numbers, with groups',
  {
    dockerfile: 'FROM base\nUSER app\nRUN id -u > /tmp/x; id -G >> /tmp/x\n',
    has: { 'tmp/x': '1000\n1000 2000' },
  },
  {
    dockerfile: 'FROM base\nUSER 7:8\nRUN id -u > /tmp/x; id -G >> /tmp/x\n',
    has: { 'tmp/x': '7\n8' },
    config: { User: '7:8' },
  },
  { dockerfile: 'FROM base\nUSER app:other\nRUN id -g > /tmp/x\n', has: { 'tmp/x': '2001' } },
  { dockerfile: 'FROM base\nUSER nobody-here\nRUN true\n', refused: /nobody-here/ },
)

row(67, 'VOLUME is written down and changes no file', {
  dockerfile: 'FROM base\nVOLUME /v ["/w"]\nVOLUME ["/w x"]\nRUN mkdir /v && echo 1 > /v/x\n',
  has: { 'v/x': '1' },
  config: { Volumes: { '/v': {}, '/w x': {} } },
})

row(
  68,
  'EXPOSE takes ports, ranges and protocols',
  {
    dockerfile: 'FROM scratch\nARG P=90\nEXPOSE 80 $P/udp 100-102/tcp\n',
    config: {
      ExposedPorts: { '80/tcp': {}, '90/udp': {}, '100/tcp': {}, '101/tcp': {}, '102/tcp': {} },
    },
  },
  { dockerfile: 'FROM scratch\nEXPOSE 80/none\n', refused: /invalid (?:proto|containerPort)|none/ },
)

row(
  69,
  'HEALTHCHECK has all its options, and NONE',
  {
    dockerfile:
      'FROM scratch\nHEALTHCHECK --interval=5s --timeout=3s --start-period=1m --start-interval=2s --retries=4 CMD ["ok"]\n',
    config: {
      Healthcheck: {
        Test: ['CMD', 'ok'],
        Interval: 5_000_000_000,
        Timeout: 3_000_000_000,
        StartPeriod: 60_000_000_000,
        StartInterval: 2_000_000_000,
        Retries: 4,
      },
    },
  },
  { dockerfile: 'FROM scratch\nHEALTHCHECK NONE\n', config: { Healthcheck: { Test: ['NONE'] } } },
  { dockerfile: 'FROM scratch\nHEALTHCHECK --interval=1us CMD x\n', refused: /Interval|interval/ },
)

row(
  70,
  'STOPSIGNAL takes names and numbers',
  { dockerfile: 'FROM scratch\nARG S=SIGINT\nSTOPSIGNAL $S\n', config: { StopSignal: 'SIGINT' } },
  { dockerfile: 'FROM scratch\nSTOPSIGNAL SIGNONE\n', refused: /invalid signal: SIGNONE|SIGNONE/ },
)

rowWith(
  71,
  'ONBUILD waits for the image or stage above, here-documents and --from included',
  async (t, trial) => {
    const text =
      'FROM base AS tools\nRUN echo T > /t\nFROM base AS parent\nONBUILD COPY --from=tools /t /t\nONBUILD RUN <<EOF\necho ran > /x\nEOF\n'
    await checkBuild(t, trial, {
      dockerfile: `${text}FROM parent\n`,
      has: { t: 'T', x: 'ran' },
      config: { Env: ['PATH=/usr/bin'] },
    })
    await checkBuild(t, trial, {
      dockerfile: 'FROM base\nONBUILD RUN echo above > /x\nONBUILD ENV A=1\n',
      config: { OnBuild: ['RUN echo above > /x', 'ENV A=1'] },
      lacks: ['x'],
    })
    await trial.kauri.run(['tag', 'row', 'with-triggers'])
    await checkBuild(t, trial, {
      dockerfile: 'FROM with-triggers\nRUN echo $A > /a\n',
      has: { x: 'above', a: '1' },
    })
    await checkBuild(t, trial, {
      dockerfile: 'FROM base\nONBUILD ONBUILD RUN x\n',
      refused: /Chaining ONBUILD/i,
    })
  },
)

rowWith(72, 'MAINTAINER is the author, with a warning', async (t, trial) => {
  await checkBuild(t, trial, {
    dockerfile: 'FROM scratch\nMAINTAINER A person <a@example.org>\n',
    config: { WorkingDir: '/' },
    told: /MaintainerDeprecated/,
  })
  const { stdout } = await trial.kauri.run(['inspect', 'row'])
  t.regex(stdout, /"Author": "A person <a@example\.org>"/)
})
