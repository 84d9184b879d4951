import Bytes
import JSON
extension ServingLoop {
    func writeDescription() { body.append("{}") }
}
