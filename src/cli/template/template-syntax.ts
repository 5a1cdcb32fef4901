// The syntax tree of a template for `--format`: the part of Go's text/template that people write on docker's command line.

import type { Token } from './template-tokens.ts'

/** What stands in a template, in order. */
export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipeline: Pipeline }
  | { readonly kind: 'assign'; readonly name: string; readonly pipeline: Pipeline }
  | { readonly kind: 'if' | 'with'; readonly pipeline: Pipeline; readonly body: Body }
  | {
      readonly kind: 'range'
      /** Names of the index and the element; the element alone where there is one. */
      readonly names: readonly string[]
      readonly pipeline: Pipeline
      readonly body: Body
    }

/** What is done, and what otherwise. */
export interface Body {
  readonly nodes: readonly TemplateNode[]
  readonly otherwise: readonly TemplateNode[]
}

/** Calls one behind the other; each gets the result of the one before as its last argument. */
export type Pipeline = readonly Call[]

/** A function with its arguments, or a value alone. */
export interface Call {
  readonly callee: Operand
  readonly arguments: readonly Operand[]
}

/** Something with a value, and the fields that are taken of it. */
export interface Operand {
  readonly base:
    | { readonly kind: 'dot' }
    | { readonly kind: 'variable'; readonly name: string }
    | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
    | { readonly kind: 'function'; readonly name: string }
    | { readonly kind: 'group'; readonly pipeline: Pipeline }
  readonly fields: readonly string[]
}

/** An action between the braces, or the text before it. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly tokens: readonly Token[] }
