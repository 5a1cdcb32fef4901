import test from 'ava'
import {
  acquireSettings,
  formatAptSettings,
  parseAptSettings,
  pathSetting,
  proxyProgram,
  settingOf,
} from '../../src/rootfs/apt-config.ts'

const dump = `Dir=/
Dir::Etc=etc/apt
Dir::Etc::sourcelist=sources.list
Dir::Etc::sourceparts=/srv/parts
Dir::Etc::netrc=
Acquire::http::Proxy=http://user:p%3dw@proxy.example.org:3128/
Acquire::http::Proxy::local.example.org=DIRECT
Acquire::https::Proxy-Auto-Detect=/usr/bin/auto-proxy
Acquire::http::ProxyAutoDetect=/usr/bin/auto-proxy
Acquire::Retries=3
Acquire::AllowInsecureRepositories=1
Acquire::IndexTargets::deb::Packages::MetaKey=x
APT::Update::Post-Invoke::=touch /tmp/hook
DPkg::Pre-Install-Pkgs::=cat
`

test('the last value of a setting counts, whatever its case', t => {
  const settings = parseAptSettings('A::B=1\na::b=2\nEmpty=\n')
  t.is(settingOf(settings, 'A::b'), '2')
  t.is(settingOf(settings, 'Empty'), undefined)
})

test('relative paths stand below the setting that they are part of', t => {
  const settings = parseAptSettings(dump)
  t.is(pathSetting(settings, 'Dir::Etc::sourcelist'), '/etc/apt/sources.list')
  t.is(pathSetting(settings, 'Dir::Etc::sourceparts'), '/srv/parts')
  t.is(pathSetting(settings, 'Dir::Etc::netrc'), undefined)
  t.is(
    pathSetting(parseAptSettings(`RootDir=/host\n${dump}`), 'Dir::Etc::sourcelist'),
    '/host/etc/apt/sources.list',
  )
})

test('proxies and retries are taken over; hooks, programs and weakened checks are not', t => {
  t.deepEqual(acquireSettings(parseAptSettings(dump)), [
    { name: 'Acquire::http::Proxy', value: 'http://user:p=w@proxy.example.org:3128/' },
    { name: 'Acquire::http::Proxy::local.example.org', value: 'DIRECT' },
    { name: 'Acquire::Retries', value: '3' },
  ])
})

test('a program that finds the proxy is told of unless a proxy is fixed', t => {
  t.is(proxyProgram(parseAptSettings(dump)), undefined)
  t.is(proxyProgram(parseAptSettings('Acquire::http::Proxy-Auto-Detect=/bin/x\n')), '/bin/x')
  t.is(proxyProgram([]), undefined)
})

test('settings that the syntax of the file cannot hold are left out', t => {
  t.is(
    formatAptSettings([
      { name: 'A::B', value: 'x y;z' },
      { name: 'C', value: 'a"; APT::Update::Post-Invoke {"evil"' },
      { name: 'D"', value: '1' },
      { name: 'E', value: 'two\nlines' },
    ]),
    'A::B "x y;z";\n',
  )
})
