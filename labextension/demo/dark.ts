/** Colours of code on a dark page. */

import { HighlightStyle } from '@codemirror/language';
import { tags } from '@lezer/highlight';

export const darkHighlightStyle = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: '#c3a6ff' },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: '#a8d18d' },
  { tag: [tags.number, tags.bool, tags.null], color: '#f2b482' },
  { tag: tags.comment, color: '#9a9aa5', fontStyle: 'italic' },
  { tag: [tags.function(tags.variableName), tags.definition(tags.variableName)], color: '#7db8f5' },
  { tag: [tags.typeName, tags.className, tags.namespace], color: '#7fd4d0' },
  { tag: tags.invalid, color: '#ff8a80' }
]);
