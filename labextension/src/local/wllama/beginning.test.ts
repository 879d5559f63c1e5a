import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agrees, grammarOf } from './beginning';

const grammar = (ways: string[], typed = '', banned = ''): string => grammarOf({ typed, ways, banned });
const REST = 'rest ::= [^\\x00]*\n';

describe('what a text may begin with', () => {
  it('needs no grammar where it may be anything', () => expect(grammar([])).toBe(''));

  it('is what was typed, and then anything', () => {
    expect(grammar([], ' ret')).toBe(`root ::= " ret" rest\n${REST}`);
  });

  it('is one of some names, whose common beginning stands once', () => {
    expect(grammar(['height', 'home', 'width'])).toBe(
      `root ::= ("h" ("eight" | "ome") | "width") rest\n${REST}`
    );
  });

  it('is the shorter of two names where one begins with the other', () => {
    expect(grammar(['id', 'id2'])).toBe(`root ::= ("id") rest\n${REST}`);
  });

  it('is anything but what is banned', () => {
    expect(grammar([], '', ']')).toBe(`root ::= ([^\\x00\\U0000005d] rest)?\n${REST}`);
    expect(grammar(['ab', 'cd'], '', 'a')).toBe(`root ::= ("cd") rest\n${REST}`);
  });

  it('is escaped, whatever it holds', () => {
    expect(grammar(['a"\n😀'])).toBe(`root ::= ("a\\U00000022\\U0000000a\\U0001f600") rest\n${REST}`);
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 5 }), fc.string(), (ways, typed) => {
        const text = grammar(ways, typed);
        expect(text.replaceAll(/"(?:[A-Za-z0-9_ ]|\\U[0-9a-f]{8}|\\x00)*"/g, '')).toMatch(
          /^(?:|root ::= [()| ]*(?:rest)?\nrest ::= \[\^\\x00\]\*\n)$/
        );
      })
    );
  });

  it('is only checked where there are too many names', () => {
    const names = Array.from({ length: 3000 }, (_, at) => `name${at}`);
    expect(grammar(names)).toBe('');
    expect(agrees('name29', names)).toBe(true);
    expect(agrees('nome', names)).toBe(false);
  });

  it('is agreed with by each beginning of a way, and by what follows one', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(), (way, more, length) => {
        expect(agrees(way.slice(0, length), [way])).toBe(true);
        expect(agrees(way + more, [way])).toBe(true);
      })
    );
  });
});
