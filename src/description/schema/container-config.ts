// <containerconfig>: how containers of the image start, and what it is called.

import { type ElementRule, many, may, must, optional, some, textElement } from './rule.ts'
import { anyText, flag, form, someText } from './values.ts'

const argument: ElementRule = { attributes: { name: must(anyText) } }

const command: ElementRule = {
  attributes: { execute: may(anyText), clear: may(flag) },
  children: { argument: many(argument) },
  needsOneOf: ['execute', 'clear'],
}

const named: ElementRule = { attributes: { name: must(someText) } }

const nameAndValue: ElementRule = { attributes: { name: must(someText), value: must(anyText) } }

const port: ElementRule = {
  attributes: {
    number: must(
      form(/^[0-9]+(?:\/(?:tcp|udp|sctp))?$/, 'a port such as 80, 80/tcp, 53/udp or 5000/sctp'),
    ),
  },
}

const history: ElementRule = {
  attributes: {
    created_by: may(anyText),
    author: may(anyText),
    application_id: may(anyText),
    package_version: may(anyText),
    launcher: may(anyText),
  },
  text: { type: anyText },
}

export const containerConfig: ElementRule = {
  attributes: {
    name: must(someText),
    tag: may(someText),
    additionalnames: may(someText),
    maintainer: may(anyText),
    user: may(someText),
    workingdir: may(someText),
  },
  children: {
    entrypoint: optional(command),
    subcommand: optional(command),
    expose: optional({ children: { port: some(port) } }),
    volumes: optional({ children: { volume: some(named) } }),
    stopsignal: optional(
      textElement(form(/^(?:SIG[A-Z0-9+-]+|[0-9]{1,2})$/, 'a signal such as SIGTERM or 15')),
    ),
    environment: optional({ children: { env: some(nameAndValue) } }),
    labels: optional({ children: { label: some(nameAndValue) } }),
    history: optional(history),
  },
}
