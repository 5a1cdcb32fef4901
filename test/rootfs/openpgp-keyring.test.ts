import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { binaryKeyring } from '../../src/rootfs/openpgp-keyring.ts'

/** A public key packet of either header form; what follows does not matter here. */
const oldForm = Buffer.from([0x99, 0x00, 0x02, 0x04, 0x00])
const newForm = Buffer.from([0xc6, 0x02, 0x04, 0x00])

function armor(content: Buffer, headers = ''): string {
  return `-----BEGIN PGP PUBLIC KEY BLOCK-----\n${headers}\n${content.toString('base64')}\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n`
}

test('binary keys stay, armoured ones are opened, several in one file are joined', t => {
  t.deepEqual(binaryKeyring(oldForm, 'k'), oldForm)
  t.deepEqual(binaryKeyring(newForm, 'k'), newForm)
  t.deepEqual(binaryKeyring(Buffer.from(armor(oldForm)), 'k'), oldForm)
  t.deepEqual(
    binaryKeyring(Buffer.from(`note\n${armor(oldForm, 'Comment: x\n')}${armor(newForm)}`), 'k'),
    Buffer.concat([oldForm, newForm]),
  )
  t.deepEqual(binaryKeyring(Buffer.from(armor(newForm).replaceAll('\n', '\r\n')), 'k'), newForm)
})

for (const [title, content] of [
  ['an error page', '<html>not found</html>'],
  ['nothing', ''],
  ['a private key', Buffer.from([0x95, 0x00, 0x02])],
  ['armour around something else', armor(Buffer.from('hello'))],
] as const)
  test(`refused as a key: ${title}`, t => {
    const error = t.throws(() => binaryKeyring(Buffer.from(content), 'http://example.org/k'), {
      instanceOf: KauriError,
    })
    t.is(error?.message, 'http://example.org/k is not an OpenPGP public key')
  })
