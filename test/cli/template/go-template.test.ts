import test from 'ava'
import { goTemplate } from '../../../src/cli/template/go-template.ts'

const value = {
  ID: 'abc',
  Size: 3,
  On: true,
  None: null,
  List: ['a', 'b'],
  Map: { k: 'v', '<x>': 1 },
  State: { Status: 'running', Pid: 7 },
  Label: (key: unknown) => `label of ${String(key)}`,
}

for (const { template, want } of [
  { template: 'plain', want: 'plain' },
  { template: '{{.ID}}-{{ .Size }}', want: 'abc-3' },
  { template: '{{.State.Status}}/{{(index .List 1)}}', want: 'running/b' },
  { template: '{{json .Map}}', want: '{"k":"v","\\u003cx\\u003e":1}' },
  { template: '{{.List}} {{.Map}} {{.None}}', want: '[a b] map[<x>:1 k:v] <no value>' },
  { template: '{{range .List}}[{{.}}]{{end}}', want: '[a][b]' },
  { template: '{{range $i, $e := .List}}{{$i}}={{$e}};{{end}}', want: '0=a;1=b;' },
  { template: '{{range $k, $v := .Map}}{{$k}}:{{$v}} {{end}}', want: '<x>:1 k:v ' },
  { template: '{{range .None}}x{{else}}nothing{{end}}', want: 'nothing' },
  { template: '{{if .None}}a{{else if .On}}b{{else}}c{{end}}', want: 'b' },
  { template: '{{with .State}}{{.Pid}} {{$.ID}}{{end}}', want: '7 abc' },
  { template: '{{$x := .Size}}{{$x}}{{$x}}', want: '33' },
  { template: '{{.ID | upper | printf "%-5s|%q"}}', want: 'ABC  |%!q(MISSING)' },
  { template: '{{printf "%s %05d %q %%" .ID .Size .ID}}', want: 'abc 00003 "abc" %' },
  { template: '{{join .List ", "}} {{len .Map}}', want: 'a, b 2' },
  { template: '{{if and .On (eq .Size 3) (not .None)}}yes{{end}}', want: 'yes' },
  { template: '{{if or (gt .Size 4) (lt .Size 4)}}yes{{end}}', want: 'yes' },
  { template: 'a {{- .Size -}} b', want: 'a3b' },
  { template: '{{/* a remark */}}x', want: 'x' },
  { template: '{{.Label "a.b"}}', want: 'label of a.b' },
  { template: '{{split "a:b" ":"}}{{lower "X"}}{{title "word"}}', want: '[a b]xWord' },
  { template: '{{truncate .ID 2}}{{pad "x" 1 1}}|', want: 'ab x |' },
  { template: '{{"quoted }} text"}}{{`raw \\n`}}', want: 'quoted }} textraw \\n' },
])
  test(`the template ${template} gives ${want}`, t => {
    t.is(goTemplate(template).render(value), want)
  })

test('a whole value as JSON is JSON again', t => {
  const { Label: _, ...data } = value
  t.deepEqual(JSON.parse(goTemplate('{{json .}}').render(data)), data)
})

for (const template of [
  '{{.ID',
  '{{.Missing}}',
  '{{.State.Missing}}',
  '{{nosuch .ID}}',
  '{{if .On}}',
  '{{end}}',
  '{{else}}',
  '{{range .ID}}{{end}}',
  '{{}}',
  '{{|}}',
  '{{( .ID}}',
  '{{index .List 9}}',
  '{{$nosuch}}',
  '{{lt .ID .Size}}',
  '{{§}}',
  '{{.constructor}}',
  '{{.ID.length}}',
])
  test(`the template ${template} is refused`, t => {
    t.throws(() => goTemplate(template).render(value), { code: 'USAGE' })
  })

test('names that every object inherits are neither functions nor fields', t => {
  for (const template of ['{{toString}}', '{{constructor .ID}}', '{{.toString}}', '{{.__proto__}}'])
    t.throws(() => goTemplate(template).render(value), { code: 'USAGE' }, template)
})
