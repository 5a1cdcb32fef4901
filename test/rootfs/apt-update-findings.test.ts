import test from 'ava'
import { parseUpdateFindings } from '../../src/rootfs/apt-update-findings.ts'

const stdout = `Err:1 http://127.0.0.1:9/debian refused InRelease
  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)
Ign:2 file:/srv/none ./ InRelease
Err:4 file:/srv/none ./ Release
  File not found - /srv/none/./Release (2: No such file or directory)
Err:5 http://a.example.org/debian bookworm/main amd64 Packages
  Hash Sum mismatch
Get:6 file:/srv/flat ./ Packages
Err:6 file:/srv/flat ./ Packages
  Method gave a blank filename
Get:6 file:/srv/flat ./ Packages [836 B]
`
const stderr = `W: GPG error: http://b.example.org/debian trixie InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 6ED0E7B82643E131
E: The repository 'file:/srv/none ./ Release' does not have a Release file.
E: The repository 'http://b.example.org/debian trixie InRelease' is not signed.
W: Skipping acquire of configured file 'nocomp/binary-amd64/Packages' as repository 'http://c.example.org/debian bookworm InRelease' doesn't have the component 'nocomp' (component misspelt in sources.list?)
E: Release file for http://d.example.org/debian/dists/old/InRelease is expired (invalid since 3d). Updates for this repository will not be applied.
E: The repository 'http://e.example.org/debian nowhere Release' does not have a Release file.
`

test('each suite that failed is told once, with its first cause', t => {
  t.deepEqual(parseUpdateFindings(stdout, stderr), [
    {
      uri: 'http://127.0.0.1:9/debian',
      suite: 'refused',
      reason: 'Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)',
    },
    {
      uri: 'file:/srv/none',
      suite: './',
      reason: 'File not found - /srv/none/./Release (2: No such file or directory)',
    },
    { uri: 'http://a.example.org/debian', suite: 'bookworm', reason: 'Hash Sum mismatch' },
    { uri: 'http://b.example.org/debian', suite: 'trixie', reason: 'it is not signed.' },
    {
      uri: 'http://c.example.org/debian',
      suite: 'bookworm',
      reason: 'component nocomp is not there',
    },
    {
      uri: 'http://d.example.org/debian',
      suite: 'old',
      reason:
        'its release file is expired (invalid since 3d). Updates for this repository will not be applied.',
    },
    { uri: 'http://e.example.org/debian', suite: 'nowhere', reason: 'no Release file' },
  ])
  t.deepEqual(parseUpdateFindings('Get:1 http://a b InRelease\n', ''), [])
})
