import test from 'ava'
import { parseMount } from '../../src/dockerfile/run-mount.ts'

const plain = (text: string): string => text
const none = { from: '', source: '', target: '', id: '', required: false }

for (const [text, want] of [
  ['target=/a', { type: 'bind', ...none, target: '/a', readOnly: true }],
  [
    'TYPE=Bind,FROM=x,src=s,dst=/a,rw',
    { type: 'bind', ...none, from: 'x', source: 's', target: '/a', readOnly: false },
  ],
  [
    'type=bind,destination=/a,readwrite=false',
    { type: 'bind', ...none, target: '/a', readOnly: true },
  ],
  [
    'type=cache,target=/a,id=i,sharing=LOCKED,mode=0700,uid=1,gid=2',
    {
      type: 'cache',
      ...none,
      target: '/a',
      id: 'i',
      sharing: 'locked',
      mode: 0o700,
      uid: 1,
      gid: 2,
      readOnly: false,
    },
  ],
  ['type=cache,target=/a,ro', { type: 'cache', ...none, target: '/a', readOnly: true }],
  [
    'type=tmpfs,target=/a,size=1.5g',
    { type: 'tmpfs', ...none, target: '/a', readOnly: false, sizeBytes: 1.5 * 2 ** 30 },
  ],
  [
    'type=secret,id=i,env=E,required',
    { type: 'secret', ...none, id: 'i', variable: 'E', required: true, readOnly: true },
  ],
  ['type=ssh,required=0', { type: 'ssh', ...none, readOnly: true }],
  ['"type=bind","target=/a,b"', { type: 'bind', ...none, target: '/a,b', readOnly: true }],
  ['"target=/a""b"', { type: 'bind', ...none, target: '/a"b', readOnly: true }],
  ['target=/a\n', { type: 'bind', ...none, target: '/a', readOnly: true }],
] as const)
  test(`mount ${JSON.stringify(text)}`, t => {
    t.deepEqual(parseMount(text, plain), want)
  })

for (const [text, message] of [
  ['type=bnd', 'unsupported mount type "bnd" (did you mean bind?)'],
  ['type=volume', 'unsupported mount type "volume"'],
  ['ro=maybe', 'invalid value for ro: maybe'],
  ['readwrite=2', 'invalid value for readwrite: 2'],
  ['required', "unexpected key 'required' for mount type 'bind'"],
  ['required=true,type=secret', "unexpected key 'required' for mount type 'bind'"],
  ['size=1', "unexpected key 'size' for mount type 'bind'"],
  ['type=tmpfs,size=1q', 'invalid value for size: 1q'],
  ['type=cache,target=/a,sharing=lock', 'unsupported sharing value "lock" (did you mean locked?)'],
  ['type=cache,mode=8', 'invalid value 8 for mode'],
  ['type=cache,uid=-1', 'invalid value -1 for uid'],
  ['type=cache,gid=4294967296', 'invalid value 4294967296 for gid'],
  ['type=tmpfs,target=/a,mode=0700', 'mode not allowed for "tmpfs" type mounts'],
  ['uid=1,target=/a', 'uid not allowed for "bind" type mounts'],
  ['type=secret', 'invalid secret mount. one of source, target required'],
  ['type=secret,from=x,id=i', 'secret mount should not have a from'],
  ['type=secret,id=i,sharing=shared', 'secret mount should not define sharing'],
  ['type=secret,id=i,source=s', "both source and id can't be set"],
  ['type=ssh,sharing=shared', 'invalid cache sharing set for ssh mount'],
  ['nonsense', "invalid field 'nonsense' must be a key=value pair"],
  ['targt=/a', "unexpected key 'targt' in 'targt=/a' (did you mean target?)"],
  ['__proto__=/a', "unexpected key '__proto__' in '__proto__=/a'"],
  ['', 'failed to parse csv mounts: EOF'],
  [
    'target="a"',
    'failed to parse csv mounts: parse error on line 1, column 8: bare " in non-quoted-field',
  ],
  [
    '"a"b',
    'failed to parse csv mounts: parse error on line 1, column 3: extraneous or missing " in quoted-field',
  ],
  [
    '"a',
    'failed to parse csv mounts: parse error on line 1, column 2: extraneous or missing " in quoted-field',
  ],
] as const)
  test(`mount ${JSON.stringify(text)} is refused`, t => {
    t.throws(() => parseMount(text, plain), { code: 'DESCRIPTION_INVALID', message })
  })

test('values are expanded, names of fields are not', t => {
  const seen: string[] = []
  const mount = parseMount('type=cache,target=$D,id=$I', word => {
    seen.push(word)
    return word.replace('$D', '/d').replace('$I', 'i')
  })
  t.like(mount, { target: '/d', id: 'i' })
  t.deepEqual(seen, ['cache', '$D', '$I'])
})
