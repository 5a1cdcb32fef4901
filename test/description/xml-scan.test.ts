import test from 'ava'
import { KauriError } from '../../src/core/errors.ts'
import { decodeSource, sourceText } from '../../src/description/source-text.ts'
import { parseXml, type XmlElement } from '../../src/description/xml-tree.ts'

interface Broken {
  readonly name: string
  readonly text: string
  readonly at: string
  readonly rule: string
  readonly says?: string
}

const broken: readonly Broken[] = [
  { name: 'an empty file', text: '', at: '1:1', rule: 'xml-syntax' },
  { name: 'white space only', text: ' \n ', at: '1:1', rule: 'xml-syntax' },
  { name: 'plain text', text: 'hello', at: '1:1', rule: 'xml-syntax' },
  {
    name: 'an unclosed element',
    text: '<a>\n  <b>\n</a>',
    at: '3:1',
    rule: 'xml-syntax',
    says: '</b>',
  },
  { name: 'an element never closed', text: '<a>\n  <b/>', at: '1:1', rule: 'xml-syntax' },
  { name: 'an end tag too many', text: '<a/></a>', at: '1:5', rule: 'xml-syntax' },
  { name: 'a second root', text: '<a/>\n<b/>', at: '2:1', rule: 'xml-syntax' },
  { name: 'text behind the root', text: '<a/> x', at: '1:6', rule: 'xml-syntax' },
  { name: 'an attribute without a value', text: '<a b/>', at: '1:5', rule: 'xml-syntax' },
  { name: 'an attribute without quotes', text: '<a b=c/>', at: '1:6', rule: 'xml-syntax' },
  { name: 'an attribute given twice', text: '<a b="1" b="2"/>', at: '1:10', rule: 'xml-syntax' },
  { name: 'attributes without a space', text: '<a b="1"c="2"/>', at: '1:9', rule: 'xml-syntax' },
  { name: 'a value that is not closed', text: '<a b="1>\n<c/></a>', at: '1:6', rule: 'xml-syntax' },
  { name: 'a "<" in a value', text: '<a b="1><c d="2"/></a>', at: '1:9', rule: 'xml-syntax' },
  { name: 'the end inside a tag', text: '<a b="1" ', at: '1:10', rule: 'xml-syntax' },
  { name: 'a lone ampersand', text: '<a>b & c</a>', at: '1:6', rule: 'xml-entity' },
  { name: 'an unknown entity', text: '<a b="&nbsp;"/>', at: '1:7', rule: 'xml-entity' },
  { name: 'a reference to NUL', text: '<a>&#0;</a>', at: '1:4', rule: 'xml-character' },
  {
    name: 'a reference beyond Unicode',
    text: '<a>&#x110000;</a>',
    at: '1:4',
    rule: 'xml-character',
  },
  { name: 'a reference to a surrogate', text: '<a>&#xD800;</a>', at: '1:4', rule: 'xml-character' },
  { name: 'a NUL', text: '<a>\n\u0000</a>', at: '2:1', rule: 'xml-character' },
  { name: 'an escape character', text: '<a b="\u001b[2J"/>', at: '1:7', rule: 'xml-character' },
  { name: 'an unclosed comment', text: '<a><!-- x</a>', at: '1:4', rule: 'xml-syntax' },
  { name: 'dashes in a comment', text: '<a><!-- x -- y --></a>', at: '1:11', rule: 'xml-syntax' },
  { name: 'an unclosed CDATA section', text: '<a><![CDATA[ x</a>', at: '1:4', rule: 'xml-syntax' },
  { name: 'the end of a CDATA section alone', text: '<a>]]></a>', at: '1:4', rule: 'xml-syntax' },
  {
    name: 'a declaration that is not first',
    text: ' <?xml version="1.0"?><a/>',
    at: '1:2',
    rule: 'xml-syntax',
  },
  { name: 'no name after "<"', text: '<a>< b/></a>', at: '1:5', rule: 'xml-syntax' },
  {
    name: 'a markup declaration inside',
    text: '<a><!ENTITY b "c"></a>',
    at: '1:4',
    rule: 'xml-syntax',
  },
  {
    name: 'a billion laughs',
    text: '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>',
    at: '1:1',
    rule: 'xml-doctype',
  },
  {
    name: 'an external entity',
    text: '<?xml version="1.0"?>\n<!DOCTYPE a SYSTEM "file:///etc/passwd">\n<a/>',
    at: '2:1',
    rule: 'xml-doctype',
  },
  {
    name: 'nesting without end',
    text: '<a>'.repeat(100_000),
    at: '1:193',
    rule: 'xml-limit',
  },
  {
    name: 'elements without end',
    text: `<a>${'<b/>'.repeat(100_001)}</a>`,
    at: '1:400000',
    rule: 'xml-limit',
  },
  {
    name: 'attributes without end',
    text: `<a${Array.from({ length: 300 }, (_, n) => ` b${n}=""`).join('')}/>`,
    at: '1:1494',
    rule: 'xml-limit',
  },
]

for (const { name, text, at, rule, says } of broken)
  test(`${name} is refused at its place`, t => {
    const error = t.throws(() => parseXml(sourceText('config.xml', text)), {
      instanceOf: KauriError,
    })
    t.is(error?.code, 'DESCRIPTION_INVALID')
    t.is(`${error?.where?.line}:${error?.where?.column}`, at)
    t.is(error?.diagnostics[0]?.rule, rule)
    if (says !== undefined) t.true(error?.message.includes(says))
  })

test('a tree keeps names, values and text', t => {
  const root = parseXml(
    sourceText(
      'config.xml',
      '<?xml version="1.0" encoding="utf-8"?>\n<?xml-stylesheet href="x.css"?>\n<!-- c -->\n' +
        '<image name="a&amp;b" id=\'&#x41;"\'>\n  <t>1.10</t><t> x &lt;<![CDATA[ &amp; ]]>y </t><e a="1\n2"/>\n</image>\n<!-- end -->',
    ),
  )
  t.is(root.name, 'image')
  t.deepEqual(
    root.attributes.map(({ name, value }) => [name, value]),
    [
      ['name', 'a&b'],
      ['id', 'A"'],
    ],
  )
  t.deepEqual(
    root.children.map(({ name, text }) => [name, text]),
    [
      ['t', '1.10'],
      ['t', 'x < &amp; y'],
      ['e', ''],
    ],
  )
  t.is(root.children[2]?.attributes[0]?.value, '1 2')
})

for (const name of ['__proto__', 'constructor', 'toString']) {
  test(`an attribute ${name} is read like any other`, t => {
    const root = parseXml(sourceText('x', `<a ${name}="1"/>`))
    t.deepEqual(
      root.attributes.map(attribute => [attribute.name, attribute.value]),
      [[name, '1']],
    )
  })

  test(`an element ${name} is refused, not taken for a property`, t => {
    t.throws(() => parseXml(sourceText('x', `<a><${name}/></a>`)), {
      instanceOf: KauriError,
      code: 'DESCRIPTION_INVALID',
    })
  })
}

test('numbers, booleans and empty values stay text', t => {
  const root = parseXml(sourceText('x', '<a b="1.10" c="true" d="" e="0x10" f=" g "/>'))
  t.deepEqual(
    root.attributes.map(({ value }) => value),
    ['1.10', 'true', '', '0x10', ' g '],
  )
})

/** A small generator with a seed, so that a failure can be repeated. */
function generator(seed: number): (limit: number) => number {
  let state = seed
  return limit => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((state / 2_147_483_648) * limit)
  }
}

interface Expected {
  readonly name: string
  readonly at: readonly [line: number, column: number]
  readonly attributes: readonly {
    name: string
    at: readonly [number, number]
    valueAt: readonly [number, number]
  }[]
}

/** Writes random XML and notes where everything went. */
function randomDocument(seed: number): { text: string; expected: Expected[] } {
  const pick = generator(seed)
  const breaks = ['\n', '\r\n', '\r'] as const
  const lineBreak = breaks[pick(3)] ?? '\n'
  let text = ''
  let line = 1
  let column = 1
  const write = (part: string): void => {
    text += part
    const lines = part.split(/\r\n|\r|\n/)
    line += lines.length - 1
    column = (lines.length > 1 ? 1 : column) + Array.from(lines.at(-1) ?? '').length
  }
  const here = (): readonly [number, number] => [line, column]
  const space = (): void => write([' ', '\t', lineBreak, `${lineBreak}    `, '  '][pick(5)] ?? ' ')
  const filler = (): void =>
    write(
      [
        '',
        'text \u{1f332}é ',
        `<!-- a > b < c "${lineBreak} -->`,
        '<![CDATA[ <x> & ]]>',
        '&amp;',
        '<?pi x="<a>"?>',
        lineBreak,
      ][pick(7)] ?? '',
    )
  const expected: Expected[] = []
  const element = (depth: number): void => {
    const name = ['a', 'b-c', 'x:y', 'é'][pick(4)] ?? 'a'
    const attributes: {
      name: string
      at: readonly [number, number]
      valueAt: readonly [number, number]
    }[] = []
    expected.push({ name, at: here(), attributes })
    write(`<${name}`)
    for (let index = pick(4); index > 0; index--) {
      space()
      const at = here()
      const quote = pick(2) === 0 ? '"' : "'"
      write(`n${index}`)
      if (pick(3) === 0) space()
      write('=')
      if (pick(3) === 0) space()
      write(quote)
      attributes.push({ name: `n${index}`, at, valueAt: here() })
      write(['', 'v>', `two${lineBreak}lines`, '\u{1f332}&lt;', '/>'][pick(5)] ?? '')
      write(quote)
    }
    if (pick(3) === 0) space()
    if (depth > 4 || pick(4) === 0) return write('/>')
    write('>')
    for (let count = pick(4); count > 0; count--) {
      filler()
      element(depth + 1)
    }
    filler()
    write(`</${name}${pick(3) === 0 ? ' ' : ''}>`)
  }
  element(0)
  return { text, expected }
}

test('every element, attribute and value of 500 random documents has its exact place', t => {
  for (let seed = 1; seed <= 500; seed++) {
    const { text, expected } = randomDocument(seed)
    const source = sourceText('x', text)
    const at = (offset: number): readonly [number, number] => {
      const { line, column } = source.positionAt(offset)
      return [line, column]
    }
    const found: Expected[] = []
    const collect = (element: XmlElement): void => {
      found.push({
        name: element.name,
        at: at(element.offset),
        attributes: element.attributes.map(({ name, nameOffset, valueOffset }) => ({
          name,
          at: at(nameOffset),
          valueAt: at(valueOffset),
        })),
      })
      element.children.forEach(collect)
    }
    collect(parseXml(source))
    t.deepEqual(found, expected, `seed ${seed}:\n${text}`)
  }
})

test('cutting a document anywhere gives a finding, never another failure', t => {
  const { text } = randomDocument(7)
  for (let length = 0; length < text.length; length++)
    t.throws(() => parseXml(sourceText('x', text.slice(0, length))), {
      instanceOf: KauriError,
      code: 'DESCRIPTION_INVALID',
    })
})

test('a byte order mark and CRLF do not move places', t => {
  const bytes = new TextEncoder().encode(
    '\u{feff}<?xml version="1.0"?>\r\n<a>\r\n\t<b c="1"/>\r\n</a>',
  )
  const source = decodeSource(bytes, 'x')
  const b = parseXml(source).children[0]
  t.deepEqual(source.positionAt(b?.offset ?? 0), { file: 'x', line: 3, column: 2 })
  t.is(source.line(3), '\t<b c="1"/>')
})

test('invalid UTF-8 is refused at its place', t => {
  const bytes = Buffer.concat([
    Buffer.from('<a>\n ab'),
    Buffer.from([0xc3, 0x28]),
    Buffer.from('</a>'),
  ])
  const error = t.throws(() => decodeSource(bytes, 'x'), { instanceOf: KauriError })
  t.deepEqual(error?.where, { file: 'x', line: 2, column: 4 })
  t.is(error?.diagnostics[0]?.rule, 'xml-encoding')
})

test('ISO-8859-1 and UTF-16 are read as what they are', t => {
  const latin = Buffer.from(
    '<?xml version="1.0" encoding="ISO-8859-1"?><a b="caf\u00e9"/>',
    'latin1',
  )
  t.is(parseXml(decodeSource(latin, 'x')).attributes[0]?.value, 'café')
  const wide = Buffer.from(
    '\u{feff}<?xml version="1.0" encoding="UTF-16"?><a b="café"/>',
    'utf16le',
  )
  t.is(parseXml(decodeSource(wide, 'x')).attributes[0]?.value, 'café')
})

test('an encoding nobody knows is named', t => {
  const error = t.throws(
    () => decodeSource(Buffer.from('<?xml version="1.0" encoding="EBCDIC"?><a/>'), 'x'),
    { instanceOf: KauriError },
  )
  t.is(error?.message, 'the encoding "ebcdic" is not supported')
})

test('a replacement character that was really written is no damage', t => {
  t.is(
    parseXml(decodeSource(Buffer.from('<a b="\u{fffd}"/>'), 'x')).attributes[0]?.value,
    '\u{fffd}',
  )
})
