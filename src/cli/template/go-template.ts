// Templates of `--format`, as docker has them: fills values into a template of Go's text/template.

import { parseTemplate } from './parse-template.ts'
import type { Call, Operand, Pipeline, TemplateNode } from './template-syntax.ts'
import { templateError } from './template-tokens.ts'
import { formatValue, isTrue, templateFunctions } from './template-values.ts'

/** A template that was understood. */
export interface Template {
  /**
   * Fills it in. Fields of the value are its members; a member that is a function is called with the arguments behind it.
   * @throws USAGE for a field that the value does not have
   */
  render(value: object): string
}

/** @throws USAGE for what is no template */
export function goTemplate(text: string): Template {
  const nodes = parseTemplate(text)
  return {
    render: value => renderNodes(nodes, { dot: value, variables: new Map([['', value]]) }),
  }
}

interface Scope {
  readonly dot: unknown
  /** By name; the whole value under the empty one. */
  readonly variables: Map<string, unknown>
}

function renderNodes(nodes: readonly TemplateNode[], scope: Scope): string {
  return nodes.map(node => renderNode(node, scope)).join('')
}

function renderNode(node: TemplateNode, scope: Scope): string {
  switch (node.kind) {
    case 'text':
      return node.text
    case 'print':
      return formatValue(evaluate(node.pipeline, scope))
    case 'assign':
      scope.variables.set(node.name, evaluate(node.pipeline, scope))
      return ''
    case 'if':
      return renderNodes(
        isTrue(evaluate(node.pipeline, scope)) ? node.body.nodes : node.body.otherwise,
        scope,
      )
    case 'with': {
      const dot = evaluate(node.pipeline, scope)
      if (!isTrue(dot)) return renderNodes(node.body.otherwise, scope)
      return renderNodes(node.body.nodes, { ...scope, dot })
    }
    case 'range':
      return renderRange(node, scope)
    default:
      return node satisfies never
  }
}

function renderRange(
  { names, pipeline, body }: TemplateNode & { readonly kind: 'range' },
  scope: Scope,
): string {
  const entries = entriesOf(evaluate(pipeline, scope))
  if (entries.length === 0) return renderNodes(body.otherwise, scope)
  return entries
    .map(([index, dot]) => {
      const variables = new Map(scope.variables)
      const [first, second] = names
      if (first !== undefined) variables.set(first, second === undefined ? dot : index)
      if (second !== undefined) variables.set(second, dot)
      return renderNodes(body.nodes, { dot, variables })
    })
    .join('')
}

/** Maps in the order of their keys, as Go visits them. */
function entriesOf(value: unknown): readonly (readonly [unknown, unknown])[] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value)) return [...value.entries()]
  if (typeof value === 'object')
    return Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  throw templateError(`range goes over lists and maps, not over ${formatValue(value)}`)
}

function evaluate(pipeline: Pipeline, scope: Scope): unknown {
  let result: { readonly value: unknown } | undefined
  for (const call of pipeline)
    result = { value: callOf(call, result === undefined ? [] : [result.value], scope) }
  return result?.value
}

function callOf(
  { callee, arguments: words }: Call,
  piped: readonly unknown[],
  scope: Scope,
): unknown {
  const values = [...words.map(word => operandValue(word, [], scope)), ...piped]
  if (callee.base.kind === 'function') {
    const { name } = callee.base
    const found = Object.hasOwn(templateFunctions, name) ? templateFunctions[name] : undefined
    if (found === undefined) throw templateError(`function "${name}" not defined`)
    return fieldsOf(found(...values), callee.fields, [])
  }
  return operandValue(callee, values, scope)
}

function operandValue(
  { base, fields }: Operand,
  values: readonly unknown[],
  scope: Scope,
): unknown {
  switch (base.kind) {
    case 'dot':
      return fieldsOf(scope.dot, fields, values)
    case 'variable':
      if (!scope.variables.has(base.name)) throw templateError(`undefined variable "$${base.name}"`)
      return fieldsOf(scope.variables.get(base.name), fields, values)
    case 'literal':
      return base.value
    case 'group':
      return fieldsOf(evaluate(base.pipeline, scope), fields, values)
    case 'function':
      return callOf({ callee: { base, fields }, arguments: [] }, values, scope)
    default:
      return base satisfies never
  }
}

/** The last field may be a function, which gets the values. */
function fieldsOf(value: unknown, fields: readonly string[], values: readonly unknown[]): unknown {
  const last = fields.length - 1
  const result = fields.reduce<unknown>((current, field, index) => {
    const member = memberOf(current, field)
    return typeof member === 'function' ? member(...(index === last ? values : [])) : member
  }, value)
  const isCalled = last >= 0 || values.length === 0
  if (!isCalled) throw templateError(`${formatValue(value)} is no function`)
  return result
}

function memberOf(value: unknown, field: string): unknown {
  if (typeof value === 'object' && value !== null) {
    const found = Object.entries(value).find(([name]) => name === field)
    if (found !== undefined) return found[1]
  }
  throw templateError(`there is no field .${field}`)
}
