import test from 'ava'
import { parsePublish } from '../../src/cli/port-options.ts'

for (const { text, want } of [
  { text: '8080:80', want: ['tcp  8080 80'] },
  { text: '80', want: ['tcp  0 80'] },
  { text: ':80', want: ['tcp  0 80'] },
  { text: '8080:80/udp', want: ['udp  8080 80'] },
  { text: '127.0.0.1:8080:80', want: ['tcp 127.0.0.1 8080 80'] },
  { text: '127.0.0.1::80', want: ['tcp 127.0.0.1 0 80'] },
  { text: '0.0.0.0:8080:80', want: ['tcp  8080 80'] },
  { text: '[::1]:8080:80', want: ['tcp ::1 8080 80'] },
  { text: '8000-8002:80-82', want: ['tcp  8000 80', 'tcp  8001 81', 'tcp  8002 82'] },
  { text: '80-81', want: ['tcp  0 80', 'tcp  0 81'] },
])
  test(`${text} is ${want.join(', ')}`, t => {
    t.deepEqual(
      parsePublish(text).map(
        ({ protocol, hostAddress, hostPort, containerPort }) =>
          `${protocol} ${hostAddress} ${hostPort} ${containerPort}`,
      ),
      want,
    )
  })

for (const text of [
  '',
  ':',
  'x',
  '0',
  '65536',
  '8080:',
  '0:80',
  '80:80:80',
  'host:80:80',
  '1.2.3:80:80',
  '::1:80:80',
  '80-79',
  '1-3:80-81',
  '8080:80/sctp',
  '80/tcp/udp',
  '80/',
  '-80',
  '80-',
  ' 80',
  '8080:80 ',
  '[::1:80:80',
  '[x]:80:80',
  '1:2:3:4',
])
  test(`${JSON.stringify(text)} is refused`, t => {
    t.throws(() => parsePublish(text), { code: 'USAGE', message: /^--publish does not take/ })
  })
