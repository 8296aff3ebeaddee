//! Tokens to a tree: `OR` binds weakest, then `AND`, then `NOT`.

use super::token::{Token, tokens};
use super::{At, Item, Mistake, Node};
use crate::butler::dataset::DataValue;

/// Deeper nesting than this is no condition that people write.
const MAX_DEPTH: usize = 64;

pub(super) fn parse(text: &str) -> Result<Node, Mistake> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let node = parser.any()?;
    match parser.peek() {
        Token::End => Ok(node),
        other => Err(parser.expected("`AND`, `OR` or the end", &other.clone())),
    }
}

struct Parser {
    /// The last is the end, and is never passed.
    tokens: Vec<At<Token>>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].it
    }

    fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    fn take(&mut self) -> At<Token> {
        let token = self.tokens[self.next].clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_keyword(keyword);
        if found {
            self.take();
        }
        found
    }

    fn expected(&self, wanted: &str, found: &Token) -> Mistake {
        Mistake { at: self.at(), message: format!("expected {wanted}, found {}", found.name()) }
    }

    fn expect(&mut self, token: &Token) -> Result<(), Mistake> {
        if self.peek() == token {
            self.take();
            return Ok(());
        }
        Err(self.expected(&token.name(), &self.peek().clone()))
    }

    fn any(&mut self) -> Result<Node, Mistake> {
        let mut nodes = vec![self.all()?];
        while self.keyword("OR") {
            nodes.push(self.all()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Any(nodes) })
    }

    fn all(&mut self) -> Result<Node, Mistake> {
        let mut nodes = vec![self.not()?];
        while self.keyword("AND") {
            nodes.push(self.not()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::All(nodes) })
    }

    fn not(&mut self) -> Result<Node, Mistake> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Mistake { at: self.at(), message: format!("nested more than {MAX_DEPTH} deep") });
        }
        let node = if self.keyword("NOT") {
            Node::Not(Box::new(self.not()?))
        } else if self.peek() == &Token::Open {
            self.take();
            let node = self.any()?;
            self.expect(&Token::Close)?;
            node
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, Mistake> {
        let name = match self.peek().clone() {
            Token::Word(word) => At { at: self.take().at, it: word },
            other => return Err(self.expected("the name of a dimension", &other)),
        };
        if let Token::Operator(operator) = *self.peek() {
            self.take();
            return Ok(Node::Compare { name, operator, value: self.value()? });
        }
        let negated = self.keyword("NOT");
        if !self.keyword("IN") {
            return Err(self.expected("a comparison or `IN`", &self.peek().clone()));
        }
        self.expect(&Token::Open)?;
        let mut items = vec![self.item()?];
        while self.peek() == &Token::Comma {
            self.take();
            items.push(self.item()?);
        }
        self.expect(&Token::Close)?;
        Ok(Node::In { name, negated, items })
    }

    fn item(&mut self) -> Result<Item, Mistake> {
        let first = self.value()?;
        if self.peek() != &Token::Range {
            return Ok(Item::One(first));
        }
        self.take();
        Ok(Item::Range(first, self.value()?))
    }

    fn value(&mut self) -> Result<At<DataValue>, Mistake> {
        let it = match self.peek().clone() {
            Token::Integer(number) => DataValue::Integer(number),
            Token::Text(text) => DataValue::Text(text),
            other => return Err(self.expected("a whole number or a quoted text", &other)),
        };
        Ok(At { at: self.take().at, it })
    }
}
