/** Ask a built site's own search, as its pages do: node ask.cjs SITE < questions.json */
const { readFileSync } = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const files = ['minisearch.js', 'language_data.js', 'search-sections.js', 'search.js'];
const context = vm.createContext({});
context.window = context;
for (const file of files) {
  vm.runInContext(readFileSync(path.join(process.argv[2], '_static', file), 'utf8'), context, {
    filename: file
  });
}
context.questions = JSON.parse(readFileSync(0, 'utf8'));
const answer = `
  const ask = TurbopilotSearch.make(turbopilotSections, { MiniSearch, Stemmer });
  JSON.stringify(questions.map(question => ask(question, { most: 10 }).map(found => ({
    place: found.page + (found.anchor ? '#' + found.anchor : ''),
    score: found.score,
    excerpt: TurbopilotSearch.excerpt(found).map(piece => piece.text).join(''),
    marked: TurbopilotSearch.excerpt(found).filter(piece => piece.marked).map(piece => piece.text)
  }))));
`;
process.stdout.write(vm.runInContext(answer, context));
